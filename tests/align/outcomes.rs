//! What each verdict does, by the real binary and as it is configured: with the score, and where nothing is scored.

use std::fs;

use rustix::process::Signal;

use crate::end_to_end::{World, message, reason, text};
use crate::rig::client::{Client, Heard};
use crate::rig::process::{run, wait_for};
use crate::rig::relay::binary;
use crate::rig::tls::set_mode;

/// From domain, reverse-path, the option of `[align.verdict]` and the name of the reason.
const KINDS: [(&str, &str, &str, &str); 4] = [
    ("strict.example", "ann@strict.example", "policy", "align-policy"),
    ("plain.example", "x@bounces.example", "misaligned", "align-misaligned"),
    ("bare.example", "ann@bare.example", "none", "align-none"),
    ("loop.example", "ann@loop.example", "permerror", "align-permerror"),
];

/// A world in which nothing authenticates any of these, and ann@example.org can log in.
struct Outcomes {
    world: World,
    auth: String,
    folder: tempfile::TempDir,
}

impl Outcomes {
    fn start() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let password = run(&binary(), &["password", "ann@example.org"], b"open sesame\n");
        let file = folder.path().join("passwords");
        fs::write(&file, password.stdout).unwrap();
        set_mode(&file, 0o600);
        let auth = format!("[auth]\npassword_file = {file:?}\n");
        let world = World::start(&auth);
        let dns = &world.dns;
        dns.set("_dmarc.strict.example", text("v=DMARC1; p=reject"));
        dns.set("strict.example", text("v=spf1 ip4:198.51.100.1 -all"));
        dns.set("bounces.example", text("v=spf1 ip4:192.0.2.10 ip4:192.0.2.20 -all"));
        dns.set("loop.example", text("v=spf1 include:loop.example -all"));
        Self { world, auth, folder }
    }

    /// Every verdict does this from now on.
    fn configure(&mut self, score: bool, deed: &str) {
        let verdicts: Vec<String> = KINDS.iter().map(|(_, _, option, _)| format!("{option} = {deed}\n")).collect();
        let verdicts = verdicts.concat();
        let more = format!("[align.verdict]\n{verdicts}[score]\nenabled = {score}\n{}", self.auth);
        self.world.keep_egresses(2, &more);
    }

    /// By ann, who logged in.
    fn as_ann(&self, from: &str, content: &[u8]) -> Heard {
        let mut client = Client::greeted(self.world.relay().site().address());
        client.expect("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBvcGVuIHNlc2FtZQ==", 235);
        client.deliver(from, &["bob@example.org"], content).expect("an answer")
    }

    fn held(&self) -> usize {
        let output = self.world.site.command(&["queue", "list", "--state", "held", "--json"]);
        String::from_utf8_lossy(&output.stdout).lines().count()
    }
}

#[test]
fn every_verdict_does_what_is_configured_with_the_score_and_without() {
    let mut outcomes = Outcomes::start();
    let (mut held, mut arrived) = (0, 0);
    for score in [true, false] {
        for deed in ["\"send\"", "7", "200", "\"hold\"", "\"reject\""] {
            outcomes.configure(score, deed);
            for (domain, from, option, name) in KINDS {
                let what = format!("{option} = {deed}, score {score}");
                let content = message(&format!("ann@{domain}"));
                if deed == "\"reject\"" {
                    let heard = outcomes.as_ann(from, &content);
                    assert_eq!(heard.code, 550, "{what}: {}", heard.text());
                    let words = "5.7.26 nothing authenticates the domain of this message's From";
                    assert!(heard.text().contains(words), "{what}: {}", heard.text());
                    assert_eq!(outcomes.held(), held, "{what}: nothing of it is kept");
                }
                // By somebody whom an MTA knows, or nobody: a refusal would become a bounce to whoever stands there.
                outcomes.world.deliver(from, &content);
                // 200 points are for the score to judge, and where nothing is scored they weigh nothing.
                if deed == "\"hold\"" || deed == "\"reject\"" || deed == "200" && score {
                    held += 1;
                    assert_eq!(outcomes.held(), held, "{what}");
                    let (found, sentence) = reason(&outcomes.world.newest());
                    assert_eq!(found, name, "{what}: {sentence}");
                } else {
                    arrived += 1;
                    let arrival = outcomes.world.arrived(arrived).pop().unwrap();
                    let told = outcomes.world.told_of(&arrival);
                    let points = if deed == "\"send\"" { "0" } else { deed };
                    let line = format!("+{points}  {name}  ");
                    assert!(told.contains(&line), "{what}: {told}\nlacks\n{line}");
                }
            }
        }
    }
    assert_eq!(outcomes.world.arrived(arrived).len(), arrived, "what is held stays");
    drop(outcomes.folder);
}

/// The reload of a deed takes no restart, and what was refused once may be brought again.
#[test]
fn what_was_refused_may_be_brought_again() {
    let mut outcomes = Outcomes::start();
    outcomes.configure(false, "\"reject\"");
    let content = message("ann@strict.example");
    assert_eq!(outcomes.as_ann("ann@strict.example", &content).code, 550);
    // The record is mended.
    outcomes.world.dns.set("strict.example", text("v=spf1 ip4:192.0.2.10 ip4:192.0.2.20 -all"));
    outcomes.world.relay().signal(Signal::HUP);
    wait_for("the mended record to count", || outcomes.as_ann("ann@strict.example", &content).code == 250);
    assert_eq!(outcomes.world.arrived(1).len(), 1);
}
