//! How habits are written for the store: numbers one after the other, little endian, behind a version.

/// Writes.
#[derive(Debug, Default)]
pub(in crate::score) struct Writer(Vec<u8>);

impl Writer {
    pub(in crate::score) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(in crate::score) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(in crate::score) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(in crate::score) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(in crate::score) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what [`Writer`] wrote; `None` where the bytes end too early.
#[derive(Debug)]
pub(in crate::score) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::score) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(in crate::score) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(in crate::score) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(in crate::score) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(in crate::score) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// Whether all was read: bytes left over are not ours.
    pub(in crate::score) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
