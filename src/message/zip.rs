//! The list of a zip archive, read without unpacking: central directory and local headers, since the two may lie in
//! different ways (APPNOTE 4.3.7, 4.3.12).

use memchr::memmem;

use super::listing::Listing;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// How far from the end the end record is looked for: itself and the longest comment.
const END_BYTES_MAX: usize = 22 + 65_535;
/// How many entries are looked at: more than fit with their files into what is read of a message.
const ENTRIES_MAX: usize = 30_000;

/// Reads the list of a zip archive, or of what there is of one.
pub(super) fn list(bytes: &[u8], listing: &mut Listing) {
    central(bytes, listing);
    // Local headers are looked for everywhere, so that an archive stored within, or before, is seen too.
    let mut locals = memmem::find_iter(bytes, LOCAL);
    for at in locals.by_ref().take(ENTRIES_MAX) {
        entry(&bytes[at..], 6, 26, 30, listing);
    }
    listing.cut |= locals.next().is_some();
}

/// Walks the central directory, wherever the end record says that it is.
fn central(bytes: &[u8], listing: &mut Listing) {
    let tail = bytes.len().saturating_sub(END_BYTES_MAX);
    let Some(end) = memmem::rfind(&bytes[tail..], END).map(|at| tail + at) else { return };
    let (Some(size), Some(offset)) = (u32_at(bytes, end + 12), u32_at(bytes, end + 16)) else { return };
    // The directory ends where its end record begins, even if something was put before the archive.
    let candidates = [end.checked_sub(size), Some(offset)];
    let Some(mut at) = candidates.into_iter().flatten().find(|at| starts_at(bytes, *at, CENTRAL)) else { return };
    for _ in 0..ENTRIES_MAX {
        if !starts_at(bytes, at, CENTRAL) {
            return;
        }
        entry(&bytes[at..], 8, 28, 46, listing);
        let lengths = [28, 30, 32].map(|field| u16_at(bytes, at + field).unwrap_or(0));
        at += 46 + lengths.iter().sum::<usize>();
    }
    listing.cut = true;
}

/// One header: where its flags, its name's length and its name stand.
fn entry(header: &[u8], flags: usize, name_len: usize, name: usize, listing: &mut Listing) {
    let (Some(flags), Some(len)) = (u16_at(header, flags), u16_at(header, name_len)) else { return };
    let Some(name) = header.get(name..name + len) else { return };
    // Folders are not encrypted, and need no listing.
    if name.last().is_some_and(|b| *b != b'/') {
        listing.encrypted |= flags & 1 != 0;
        listing.add(name);
    }
}

fn starts_at(bytes: &[u8], at: usize, mark: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(mark))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A zip archive of empty stored files; `encrypted` sets bit 0 of the flags.
    pub(crate) fn archive(names: &[&str], encrypted: bool) -> Vec<u8> {
        let flags = [u8::from(encrypted), 0];
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for name in names {
            let offset = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            let len = u16::try_from(name.len()).unwrap().to_le_bytes();
            bytes.extend([LOCAL, &[20, 0], &flags, &[0; 18], &len, &[0; 2], name.as_bytes()].concat());
            let middle = [CENTRAL, &[20, 0, 20, 0], &flags, &[0; 18], &len, &[0; 12], &offset].concat();
            directory.extend([&middle[..], name.as_bytes()].concat());
        }
        let (offset, size) = (bytes.len(), directory.len());
        let count = u16::try_from(names.len()).unwrap().to_le_bytes();
        bytes.extend(directory);
        let four = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
        bytes.extend([END, &[0; 4], &count, &count, &four(size), &four(offset), &[0; 2]].concat());
        bytes
    }

    fn listed(bytes: &[u8]) -> (Vec<String>, bool) {
        let mut listing = Listing::new(100);
        list(bytes, &mut listing);
        (listing.names, listing.encrypted)
    }

    #[test]
    fn names_from_either_list() {
        let names = ["a.txt", "b/c.exe"];
        let whole = archive(&names, false);
        let expected = (names.map(str::to_owned).to_vec(), false);
        assert_eq!(listed(&whole), expected);
        assert!(listed(&archive(&names, true)).1);
        // Cut off before the directory.
        assert_eq!(listed(&whole[..80]), expected);
        // Something stands before the archive: a program that unpacks itself.
        assert_eq!(listed(&[b"MZ....".as_slice(), &whole].concat()), expected);
        // The directory names another file than the header before the content: both are listed.
        let at = memmem::rfind(&whole, b"b/c.exe").unwrap();
        let mut lying = whole.clone();
        lying[at..at + 7].copy_from_slice(b"b/c.txt");
        assert_eq!(listed(&lying).0, ["a.txt", "b/c.txt", "b/c.exe"]);
    }

    #[test]
    fn lies_end() {
        let mut bytes = archive(&["a"], false);
        // A directory that claims to begin at itself, with sizes of all ones.
        for from in 0..bytes.len() {
            let kept = bytes[from];
            for value in [0, 0xff, 0x50] {
                bytes[from] = value;
                listed(&bytes);
            }
            bytes[from] = kept;
        }
        let mut listing = Listing::new(100);
        list(&archive(&vec!["x"; 40_000], false), &mut listing);
        assert_eq!(listing.names, ["x"]);
        assert!(listing.cut, "more than is looked at");
    }
}
