//! Real campaigns to send: the spam of a labelled corpus that the model was trained on.

use std::rc::Rc;

use crate::corpus;
use crate::rig::Random;

/// Fields of a found message that say what it is; all others are the account's own.
const KEPT: [&str; 4] = ["subject:", "mime-version:", "content-type:", "content-transfer-encoding:"];
/// A campaign of more bytes is passed over: it shows nothing that a smaller one does not.
const BYTES_MAX: usize = 200_000;

/// One of them.
pub(crate) struct Campaign {
    /// Where it was found.
    pub(crate) source: String,
    /// Its subject, how its body is to be read, its body.
    pub(crate) raw: Rc<[u8]>,
}

/// The spam of the corpus's train part.
pub(crate) fn all() -> Vec<corpus::Mail> {
    let mut mail = corpus::read(&["train.tar.zst", "train-2.tar.zst"]);
    mail.retain(|mail| mail.name.starts_with("spam/") && mail.bytes.len() <= BYTES_MAX);
    mail
}

/// So many of them, chosen by the seed.
pub(crate) fn chosen(from: &[corpus::Mail], count: usize, seed: u64) -> Vec<Campaign> {
    let mut random = Random::new(seed);
    let mut campaigns = Vec::new();
    while campaigns.len() < count {
        let mail = random.pick(from);
        let source = mail.name.split('/').nth(1).unwrap().to_owned();
        campaigns.extend(kept(&mail.bytes).map(|raw| Campaign { source, raw: raw.into() }));
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
