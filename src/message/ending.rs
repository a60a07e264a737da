//! Endings of file names, which decide what a computer does with a file.

/// Endings that are taken off by who unpacks one file: what stands before them says what it is.
const COMPRESSIONS: [&str; 11] = ["gz", "gzip", "bz2", "bzip2", "xz", "zst", "zstd", "lzma", "lz", "lz4", "z"];

/// The ending of a file's name in lower case, without its dot; empty where there is none. A dot or blank at the end of a name
/// is not one to Windows.
pub fn ending(name: &str) -> String {
    last_dot(name).map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

/// The same of what a compressed file holds: `exe` of `setup.exe.gz`; `None` where the name speaks of no compression.
pub fn packed_ending(name: &str) -> Option<String> {
    let (before, last) = last_dot(name)?;
    COMPRESSIONS.iter().any(|known| last.eq_ignore_ascii_case(known)).then(|| ending(before))
}

fn last_dot(name: &str) -> Option<(&str, &str)> {
    name.trim_end_matches(['.', ' ', '\u{a0}']).rsplit_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_ends_in() {
        let cases = [
            ("setup.EXE", "exe", None),
            ("setup.exe. ", "exe", None),
            ("setup.exe.GZ", "gz", Some("exe")),
            ("setup.exe .xz", "xz", Some("exe")),
            ("backup.gz", "gz", Some("")),
            ("setup.exe.txt", "txt", None),
            ("README", "", None),
            ("", "", None),
        ];
        for (name, last, packed) in cases {
            assert_eq!((ending(name).as_str(), packed_ending(name).as_deref()), (last, packed), "{name}");
        }
    }
}
