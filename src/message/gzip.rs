//! A gzip file (RFC 1952): its name, and the beginning of what it holds.

use memchr::memchr;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// The signature, and deflate, the one method there is.
pub(super) const MARK: &[u8] = b"\x1f\x8b\x08";
const HAS_CHECKSUM: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
/// How much is inflated of all files of a message, in bytes, and of one.
const INFLATED_BYTES_MAX: usize = 2 << 20;
const FILE_BYTES_MAX: usize = 1 << 20;
/// How much of every file, whatever was inflated before: enough to know a program.
const FILE_BYTES_MIN: usize = 4 << 10;

/// What a gzip file tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gzip<'a> {
    /// The name of the file that was packed; empty if there is none.
    pub(super) name: &'a [u8],
    /// The beginning of that file, or what can be read of it.
    pub(super) start: Vec<u8>,
}

impl<'a> Gzip<'a> {
    /// Reads a file, or what there is of one, where so many bytes of others were inflated before; `None` if it is none.
    pub(super) fn read(bytes: &'a [u8], inflated_bytes: usize) -> Option<Self> {
        let flags = *bytes.strip_prefix(MARK)?.first()?;
        let has = |field: u8| flags & field != 0;
        let mut rest = bytes.get(10..)?;
        if has(HAS_EXTRA) {
            let len = u16::from_le_bytes(rest.get(..2)?.try_into().ok()?);
            rest = rest.get(2 + usize::from(len)..)?;
        }
        let name = if has(HAS_NAME) { text(&mut rest) } else { &[] };
        if has(HAS_COMMENT) {
            text(&mut rest);
        }
        if has(HAS_CHECKSUM) {
            rest = rest.get(2..).unwrap_or_default();
        }
        let room = INFLATED_BYTES_MAX.saturating_sub(inflated_bytes).clamp(FILE_BYTES_MIN, FILE_BYTES_MAX);
        let start = decompress_to_vec_with_limit(rest, room).unwrap_or_else(|stopped| stopped.output);
        Some(Self { name, start })
    }
}

/// Takes a text that ends with a zero.
fn text<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr(0, rest).unwrap_or(rest.len());
    let text = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    text
}

#[cfg(test)]
pub(super) mod tests {
    use miniz_oxide::deflate::compress_to_vec;

    use super::*;

    /// A gzip file without a name.
    pub(crate) fn packed(content: &[u8]) -> Vec<u8> {
        [MARK, &[0; 7], &compress_to_vec(content, 6)].concat()
    }

    #[test]
    fn name_and_start() {
        let deflated = compress_to_vec(b"MZ within", 6);
        let with = |flags: u8, fields: &[u8]| [MARK, &[flags], &[0; 6], fields, &deflated].concat();
        let cases: [(Vec<u8>, &[u8]); 3] = [
            (packed(b"MZ within"), b""),
            (with(8, b"invoice.js\0"), b"invoice.js"),
            (with(2 | 4 | 8 | 16, b"\x03\0xyzinvoice.js\0comment\0\x01\x02"), b"invoice.js"),
        ];
        for (bytes, name) in cases {
            assert_eq!(Gzip::read(&bytes, 0), Some(Gzip { name, start: b"MZ within".to_vec() }));
            for cut in 0..bytes.len() {
                Gzip::read(&bytes[..cut], 0);
            }
        }
        let cut = with(8, b"invoice.js\0");
        assert_eq!(Gzip::read(&cut[..15], 0).unwrap().name, b"invoi");
        assert_eq!(Gzip::read(b"PK\x03\x04", 0), None);
    }

    #[test]
    fn a_bomb_is_inflated_in_part() {
        let bomb = packed(&vec![0; 8 << 20]);
        let inflated = |before: usize| Gzip::read(&bomb, before).unwrap().start.len();
        assert_eq!(inflated(0), FILE_BYTES_MAX);
        assert_eq!(inflated(INFLATED_BYTES_MAX - 10_000), 10_000);
        assert_eq!(inflated(usize::MAX), FILE_BYTES_MIN);
    }
}
