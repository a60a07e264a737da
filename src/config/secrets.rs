//! Secrets: the file says where they are (`{ file = "…" }` or `{ env = "…" }`), never what they are.

use super::item::{Fault, Item, Setting};
use super::surroundings::Readers;
use super::values::quoted;
use crate::secret::Secret;

/// A secret and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSetting {
    /// What is kept from everyone.
    pub secret: Secret,
    /// As written: `{ file = "/etc/outguard/password" }`.
    pub source: String,
}

impl Setting for SecretSetting {
    const EXPECTED: &'static str = "{ file = \"/etc/outguard/secret\" } or { env = \"OUTGUARD_SECRET\" }";
    const SECRET: bool = true;

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        let Some(table) = item.value().as_table() else {
            return Err(Fault::says(format!("a secret does not stand in this file; write {}", Self::EXPECTED)));
        };
        if table.len() != 1 {
            return Err(Fault::says(format!("one source, no more; write {}", Self::EXPECTED)));
        }
        if let Some(file) = item.member("file") {
            return from_file(&file);
        }
        if let Some(env) = item.member("env") {
            return from_environment(&env);
        }
        Err(Fault::says(format!("neither file nor env; write {}", Self::EXPECTED)))
    }

    fn written(&self) -> String {
        self.source.clone()
    }
}

fn from_file(item: &Item<'_>) -> Result<SecretSetting, Fault> {
    let path = item.text().ok_or_else(|| Fault::says("write the path of a file in quotes"))?;
    let (mut bytes, readers) = item
        .surroundings()
        .secret_file(path.as_ref())
        .map_err(|e| Fault::says(format!("the file {} cannot be read: {e}", quoted(path))))?;
    if readers == Readers::Everyone {
        item.warn(format!("every user of this machine can read {}; chmod o-r it", quoted(path)));
    }
    // Editors end a file with a line break; it is not part of a password.
    while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(Fault::says(format!("the file {} is empty", quoted(path))));
    }
    Ok(SecretSetting { secret: Secret::new(bytes), source: format!("{{ file = {} }}", quoted(path)) })
}

fn from_environment(item: &Item<'_>) -> Result<SecretSetting, Fault> {
    let name = item.text().ok_or_else(|| Fault::says("write the name of a variable in quotes"))?;
    let value = item.surroundings().variable(name).filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| Fault::says(format!("the environment has no variable {}", quoted(name))))?;
    Ok(SecretSetting { secret: Secret::new(value.into_bytes()), source: format!("{{ env = {} }}", quoted(name)) })
}
