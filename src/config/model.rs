//! `score.model`: a model of the operator's own, in place of the one that ships.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::item::{Fault, Item, Setting};
use super::surroundings::{MODEL_BYTES_MAX, Surroundings};
use super::values::quoted;
use crate::score::model::Model;
use crate::score::settings::OwnModel;

impl Setting for OwnModel {
    const EXPECTED: &'static str = "the path of a model such as \"/etc/outguard/own.model\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let path = PathBuf::read(item)?;
        load(item.surroundings(), &path).map_err(Fault::says)
    }

    fn written(&self) -> String {
        quoted(&self.path.to_string_lossy())
    }
}

/// Reads the model of a file; it is checked whole.
///
/// # Errors
/// The file cannot be read, or is no model that can be used, with what to do about it.
pub fn load(surroundings: &dyn Surroundings, path: &Path) -> Result<OwnModel, String> {
    let bytes = surroundings.model_file(path).map_err(|error| {
        let limit = MODEL_BYTES_MAX >> 20;
        format!("cannot be read: {error}; write where a model of at most {limit} MiB is, or leave it out for the one that ships")
    })?;
    let model = Model::load(&bytes).map_err(|error| format!("cannot be used: {error}"))?;
    Ok(OwnModel { path: path.to_owned(), model: Arc::new(model) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::surroundings::Machine;

    #[test]
    fn a_model_is_read_whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Model::shipped().to_bytes();
        let at = |name: &str| folder.path().join(name);
        let mut damaged = shipped.clone();
        damaged[shipped.len() / 2] ^= 1;
        std::fs::write(at("good"), &shipped).unwrap();
        std::fs::write(at("damaged"), damaged).unwrap();
        std::fs::write(at("cut"), &shipped[..shipped.len() / 2]).unwrap();
        std::fs::write(at("foreign"), "\u{7f}ELF").unwrap();
        // Sparse: it takes no room.
        std::fs::File::create(at("endless")).unwrap().set_len(MODEL_BYTES_MAX + 1).unwrap();
        let read = |path: &str| {
            let text = format!("[score]\nmodel = {path:?}\n");
            Config::parse(&text, "a.toml", &Machine::new(folder.path()))
        };
        let good = at("good");
        let loaded = read(good.to_str().unwrap()).unwrap();
        let own = loaded.config.score.model.unwrap();
        assert_eq!((&own.path, &*own.model), (&good, Model::shipped()));
        let shown = crate::config::effective::print(&loaded.record, "a.toml");
        assert!(shown.contains(&format!("model = {good:?}")), "{shown}");
        let cases = [
            // name, what is said
            ("missing", "cannot be read: No such file"),
            ("", "cannot be read: it is no file"), // a folder
            ("endless", "longer than 16384 KiB"),
            ("foreign", "not a model that this outguard reads; make one"),
            ("damaged", "the model is damaged: its hash is another; get it again"),
            ("cut", "the model is damaged"),
        ];
        for (name, expected) in cases {
            let faults = read(at(name).to_str().unwrap()).unwrap_err().to_string();
            assert!(faults.starts_with("a.toml:2:9: score.model = "), "{name}: {faults}");
            assert!(faults.contains(expected), "{name}: {faults}");
        }
        let relative = read("good").unwrap_err().to_string();
        assert!(relative.contains("a path begins with /"), "{relative}");
    }
}
