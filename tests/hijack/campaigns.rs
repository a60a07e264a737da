//! Real campaigns to send: the spam of a labelled corpus that the model was trained on.

use std::path::PathBuf;
use std::rc::Rc;

use crate::rig::Random;

/// Fields of a found message that say what it is; all others are the account's own.
const KEPT: [&str; 4] = ["subject:", "mime-version:", "content-type:", "content-transfer-encoding:"];
/// A campaign of more bytes is passed over: it shows nothing that a smaller one does not.
const BYTES_MAX: usize = 200_000;

/// So many campaigns, chosen by the seed, each with its source; none where `OUTGUARD_CORPUS` names no folder with a
/// manifest.csv (split, label, source, file) and its files.
pub(crate) fn found(count: usize, seed: u64) -> Vec<(String, Rc<[u8]>)> {
    let Some(folder) = std::env::var_os("OUTGUARD_CORPUS").map(PathBuf::from) else { return Vec::new() };
    let manifest = std::fs::read_to_string(folder.join("manifest.csv")).unwrap();
    let rows = manifest.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let spam: Vec<(String, PathBuf)> =
        rows.filter(|row| row[..2] == ["train", "spam"]).map(|row| (row[2].to_owned(), folder.join(row[3]))).collect();
    let mut random = Random::new(seed);
    let mut campaigns = Vec::new();
    for _ in 0..count * 20 {
        let (source, file) = random.pick(&spam);
        let mail = std::fs::read(file).unwrap();
        if let Some(raw) = kept(&mail).filter(|_| mail.len() < BYTES_MAX && campaigns.len() < count) {
            campaigns.push((source.clone(), raw.into()));
        }
    }
    campaigns
}

/// What is sent of a found message: its subject, how its body is to be read, its body.
fn kept(mail: &[u8]) -> Option<Vec<u8>> {
    let mut rest = mail;
    let mut out = Vec::new();
    let mut is_kept = false;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')? + 1;
        let (line, after) = rest.split_at(end);
        rest = after;
        if line.trim_ascii().is_empty() {
            break;
        }
        if !line[0].is_ascii_whitespace() {
            let lower = line.to_ascii_lowercase();
            is_kept = KEPT.iter().any(|name| lower.starts_with(name.as_bytes()));
        }
        if is_kept {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(rest);
    Some(out)
}
