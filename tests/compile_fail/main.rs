//! The lies that must not compile (invariants 2 and 3). Each file beside this one is compiled twice: with `--cfg lie` it must
//! fail, for no other reason than the one that its first line names; without, the near miss must pass.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[test]
fn lies_do_not_compile_and_near_misses_do() {
    let library = Library::newest();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut lies: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    lies.retain(|path| !path.ends_with("main.rs"));
    lies.sort();
    assert!(lies.len() >= 5, "a proof without its lie: {lies:?}");
    for lie in lies {
        let text = fs::read_to_string(&lie).unwrap();
        let name = lie.file_name().unwrap().to_string_lossy().into_owned();
        let expected = text.lines().next().and_then(|line| line.strip_prefix("// error: ")).expect("an error code");

        let told = library.compile(&lie, &["--cfg", "lie"]);
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(!told.status.success(), "{name} compiles");
        let codes: Vec<&str> = said.split("error[").skip(1).filter_map(|rest| rest.split(']').next()).collect();
        assert_eq!(codes, [expected], "{name} fails for another reason:\n{said}");

        let near_miss = library.compile(&lie, &[]);
        assert!(
            near_miss.status.success(),
            "without its lie {name} compiles:\n{}",
            String::from_utf8_lossy(&near_miss.stderr)
        );
    }
}

/// This crate as the tests are linked with it.
struct Library {
    file: PathBuf,
    folder: PathBuf,
    scratch: tempfile::TempDir,
}

impl Library {
    /// Cargo builds the library before the tests and beside them. Older builds of it may lie there too.
    fn newest() -> Self {
        let folder = std::env::current_exe().unwrap().parent().expect("a file has a folder").to_owned();
        let built = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with("liboutguard-") && path.extension().is_some_and(|extension| extension == "rlib")
        };
        let file = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(built)
            .max_by_key(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
            .expect("the tests are linked with the library");
        Self { file, folder, scratch: tempfile::tempdir().unwrap() }
    }

    fn compile(&self, source: &Path, further: &[&str]) -> Output {
        Command::new("rustc")
            .args(["--edition=2024", "--crate-type=lib", "--crate-name=lie", "--emit=metadata", "--check-cfg=cfg(lie)"])
            .arg("--extern")
            .arg(format!("outguard={}", self.file.display()))
            .arg("-L")
            .arg(format!("dependency={}", self.folder.display()))
            .arg("--out-dir")
            .arg(self.scratch.path())
            .args(further)
            .arg(source)
            .output()
            .expect("rustc, which has just compiled this test")
    }
}
