//! `[control]`: the socket at which operators ask.

use std::path::PathBuf;

use super::reader::{TableReader, key};
use super::values::{Mode, words};
use crate::api::{ApiSettings, Role};

words!(Role, "\"none\", \"read\" or \"admin\"", {
    "none" => Role::None,
    "read" => Role::Read,
    "admin" => Role::Admin,
});

/// Reads `[control]`.
pub(super) fn read(root: &mut TableReader<'_>) -> ApiSettings {
    let default = ApiSettings::default();
    let mut table = root.table("control", "The socket that `outguard` commands talk to.");
    ApiSettings {
        socket: table.or::<PathBuf>(key("socket", "Its path."), default.socket),
        mode: table.or(key("mode", "Its permissions: who may write to it may ask."), Mode(default.mode)).0,
        others: table.or(
            key("others", "What those may do who are neither root nor the service user.").example("\"admin\""),
            default.others,
        ),
        connections_max: table.or(key("connections", "Connections at once."), default.connections_max),
    }
}
