//! What rar, 7z, tar and TNEF archives tell without being unpacked.

use memchr::{memchr, memmem};

use super::listing::Listing;

/// How many blocks of an archive are looked at: more than fit with their files into what is read of a message.
const BLOCKS_MAX: usize = 30_000;
/// The coder of 7z that encrypts (AES-256 and SHA-256).
const SEVEN_ZIP_AES: &[u8] = &[0x06, 0xf1, 0x07, 0x01];
/// The start of a TNEF stream (MS-OXTNEF 2.1.3.1).
pub(super) const TNEF: &[u8] = &[0x78, 0x9f, 0x3e, 0x22];
/// Its attribute for the name of an attachment (`attAttachTitle`).
const TNEF_NAME: usize = 0x0001_8010;

/// Reads what an archive of any of these kinds tells.
pub(super) fn list(bytes: &[u8], listing: &mut Listing) {
    if let Some(blocks) = bytes.strip_prefix(b"Rar!\x1a\x07\x01\x00") {
        rar5(blocks, listing);
    } else if let Some(blocks) = bytes.strip_prefix(b"Rar!\x1a\x07\x00") {
        rar4(blocks, listing);
    } else if bytes.starts_with(b"7z\xbc\xaf\x27\x1c") {
        // The list stands at the end, most often packed; what encrypts is named in the clear before it.
        let offset = u64_at(bytes, 12).and_then(|offset| usize::try_from(offset).ok()).unwrap_or(usize::MAX);
        let header = bytes.get(offset.saturating_add(32)..).unwrap_or_default();
        listing.encrypted |= memmem::find(header, SEVEN_ZIP_AES).is_some();
    } else if is_tar(bytes) {
        tar(bytes, listing);
    } else if bytes.starts_with(TNEF) {
        tnef(bytes, listing);
    }
}

fn rar4(mut blocks: &[u8], listing: &mut Listing) {
    for _ in 0..BLOCKS_MAX {
        let (Some(&kind), Some(flags), Some(size)) = (blocks.get(2), u16_at(blocks, 3), u16_at(blocks, 5)) else {
            return;
        };
        let size = usize::from(size);
        let mut data = 0;
        match kind {
            // The archive's own: from here on all headers may be encrypted.
            0x73 if flags & 0x80 != 0 => {
                listing.encrypted = true;
                return;
            }
            0x74 => {
                listing.encrypted |= flags & 4 != 0;
                let name_len = usize::from(u16_at(blocks, 26).unwrap_or(0));
                let name = if flags & 0x100 == 0 { 32 } else { 40 };
                listing.add(blocks.get(name..name + name_len).unwrap_or_default());
                data = u32_at(blocks, 7).unwrap_or(0);
            }
            _ if flags & 0x8000 != 0 => data = u32_at(blocks, 7).unwrap_or(0),
            _ => {}
        }
        let Some(rest) = blocks.get(size.max(7).saturating_add(data)..) else { return };
        blocks = rest;
    }
    listing.cut = true;
}

fn rar5(mut blocks: &[u8], listing: &mut Listing) {
    for _ in 0..BLOCKS_MAX {
        let Some((size, header)) = blocks.get(4..).and_then(vint) else { return };
        let before = blocks.len() - header.len();
        let Some((kind, fields)) = vint(header) else { return };
        let Some((flags, mut fields)) = vint(fields) else { return };
        let mut extra = 0;
        let mut data = 0;
        for (flag, value) in [(1, &mut extra), (2, &mut data)] {
            if flags & flag != 0 {
                let Some((number, rest)) = vint(fields) else { return };
                *value = number;
                fields = rest;
            }
        }
        match kind {
            4 => {
                listing.encrypted = true;
                return;
            }
            2 => {
                let header_end = before.saturating_add(to_usize(size));
                let extra_area = blocks.get(header_end.saturating_sub(to_usize(extra))..header_end.min(blocks.len()));
                // The first record of a file's extra area is its encryption, if it has one: size, then type 1.
                listing.encrypted |= extra_area.and_then(vint).and_then(|(_, r)| vint(r)).is_some_and(|(t, _)| t == 1);
                listing.add(rar5_name(fields).unwrap_or_default());
            }
            _ => {}
        }
        let next = before.saturating_add(to_usize(size)).saturating_add(to_usize(data)).max(7);
        let Some(rest) = blocks.get(next..) else { return };
        blocks = rest;
    }
    listing.cut = true;
}

/// The name in a file's header, from its own flags on.
fn rar5_name(fields: &[u8]) -> Option<&[u8]> {
    let (flags, rest) = vint(fields)?;
    let (_size, rest) = vint(rest)?;
    let (_attributes, rest) = vint(rest)?;
    let fixed = if flags & 2 != 0 { 4 } else { 0 } + if flags & 4 != 0 { 4 } else { 0 };
    let (_compression, rest) = vint(rest.get(fixed..)?)?;
    let (_system, rest) = vint(rest)?;
    let (len, rest) = vint(rest)?;
    rest.get(..to_usize(len))
}

/// A number of rar 5: seven bits a byte, the lowest first.
fn vint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

/// Whether it is a tar archive, by its first header (POSIX pax).
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

fn tar(mut bytes: &[u8], listing: &mut Listing) {
    for _ in 0..BLOCKS_MAX {
        let Some(header) = bytes.get(..512).filter(|header| header[257..262] == *b"ustar") else { return };
        let name = &header[..100];
        listing.add(&name[..memchr(0, name).unwrap_or(100)]);
        let digits = header[124..136].iter().take_while(|b| (b'0'..=b'7').contains(b));
        let size = digits.fold(0_usize, |n, b| n.saturating_mul(8).saturating_add(usize::from(b - b'0')));
        let Some(rest) = bytes.get(size.div_ceil(512).saturating_mul(512).saturating_add(512)..) else { return };
        bytes = rest;
    }
    listing.cut = true;
}

/// Behind signature and key, attributes: level, id, length, data, checksum.
fn tnef(bytes: &[u8], listing: &mut Listing) {
    let mut rest = bytes.get(6..).unwrap_or_default();
    for _ in 0..BLOCKS_MAX {
        let (Some(id), Some(len)) = (u32_at(rest, 1), u32_at(rest, 5)) else { return };
        let data = rest.get(9..9_usize.saturating_add(len)).unwrap_or_default();
        if id == TNEF_NAME {
            listing.add(&data[..memchr(0, data).unwrap_or(data.len())]);
        }
        let Some(next) = rest.get(len.saturating_add(11)..) else { return };
        rest = next;
    }
    listing.cut = true;
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(bytes: &[u8]) -> (Vec<String>, bool) {
        let mut listing = Listing::new(100);
        list(bytes, &mut listing);
        (listing.names, listing.encrypted)
    }

    fn rar4_file(name: &[u8], flags: u16) -> Vec<u8> {
        let size = u16::try_from(32 + name.len()).unwrap().to_le_bytes();
        let flags = flags.to_le_bytes();
        let len = u16::try_from(name.len()).unwrap().to_le_bytes();
        [&[0, 0, 0x74], &flags[..], &size, &[3, 0, 0, 0], &[0; 15], &len, &[0; 4], name, b"xyz"].concat()
    }

    #[test]
    fn names_and_encryption() {
        let sign4 = b"Rar!\x1a\x07\x00".as_slice();
        let main = |flags: u8| [0, 0, 0x73, flags, 0, 13, 0, 0, 0, 0, 0, 0, 0];
        let two = [sign4, &main(0), &rar4_file(b"a.txt", 0), &rar4_file(b"b.exe", 4)].concat();
        // Block of rar 5: CRC, size, type 2, flags, [sizes], file flags, size, attributes, compression, system, name.
        let sign5 = b"Rar!\x1a\x07\x01\x00".as_slice();
        let file5 = [&[0; 4][..], &[13, 2, 0, 0, 0, 0, 0, 0, 5], b"a.exe"].concat();
        let sealed5 = [&[0; 4][..], &[17, 2, 1, 3, 0, 0, 0, 0, 0, 5], b"a.exe", &[2, 1, 0]].concat();
        let mut tar = vec![0; 1536];
        tar[..5].copy_from_slice(b"a.bin");
        tar[124..135].copy_from_slice(b"00000000003");
        tar[257..262].copy_from_slice(b"ustar");
        let tar = [&tar[..1024], &tar].concat();
        let seven =
            |coder: &[u8]| [b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".as_slice(), &[0; 20], &[0x17, 6], coder].concat();
        let tnef = [TNEF, &[1, 0, 2, 0x10, 0x80, 1, 0, 6, 0, 0, 0], b"a.exe\0", &[0; 2]].concat();
        let cases: [(&[u8], &[&str], bool); 9] = [
            (&tnef, &["a.exe"], false),
            (&two, &["a.txt", "b.exe"], true),
            (&[sign4, &main(0), &rar4_file(b"a.txt", 0)].concat(), &["a.txt"], false),
            (&[sign4, &main(0x80), b"noise"].concat(), &[], true), // its list is encrypted
            (&[sign5, &file5].concat(), &["a.exe"], false),
            (&[sign5, &sealed5].concat(), &["a.exe"], true),
            (&[sign5, &[0, 0, 0, 0, 4, 4, 0, 0, 0]].concat(), &[], true),
            (&tar, &["a.bin"], false),
            (&seven(SEVEN_ZIP_AES), &[], true),
        ];
        for (bytes, names, encrypted) in cases {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            assert_eq!(listed(bytes), (names, encrypted), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert!(!listed(&seven(&[0, 1, 2, 3])).1);
    }

    #[test]
    fn any_byte_may_lie() {
        let sign5 = b"Rar!\x1a\x07\x01\x00".as_slice();
        let mut tar = vec![b'7'; 2048];
        tar[257..262].copy_from_slice(b"ustar");
        let samples = [
            [b"Rar!\x1a\x07\x00".as_slice(), &rar4_file(b"a", 0), &[0; 40]].concat(),
            [sign5, &[0, 0, 0, 0, 13, 2, 0, 0, 0, 0, 0, 0, 5], b"a.exe", &[0; 40]].concat(),
            tar,
        ];
        for sample in samples {
            for at in 0..sample.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut bytes = sample.clone();
                    bytes[at] = value;
                    listed(&bytes);
                    listed(&bytes[..at]);
                }
            }
        }
    }
}
