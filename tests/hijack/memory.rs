//! How many bytes the memory of behaviour takes.

use outguard::account::{Account, AccountSource};
use outguard::clock::WallMs;
use outguard::message::{Bounds, Message};
use outguard::score::Submission;
use outguard::score::behaviour::{Behaviour, BehaviourSettings, Judged, Remembered};

use crate::mail::Mail;
use crate::rig::{DAY, Random, START};
use crate::words;

/// What so many accounts leave, each with letters to sixteen people over three days.
pub(crate) fn of(accounts: usize, settings: BehaviourSettings) -> Remembered {
    let mut behaviour = Behaviour::new(settings, None);
    let mut random = Random::new(1);
    let bounds = Bounds::default();
    for day in 0..3 {
        for account in 0..accounts {
            let name = format!("person{account}@firm{}.example", account % 1_000);
            let contact = |n: usize| format!("contact{n}@of{account}.example");
            let (subject, text) = words::letter(&mut random);
            let mut mail = Mail::letter(&name, contact(0), subject, text);
            mail.to = (0..8).map(|n| contact(n + 4 * usize::try_from(day).unwrap())).collect();
            let at = START + day * DAY + account as u64 * 100;
            let message = Message::parse(&mail.bytes(at, account as u64), &bounds);
            let (envelope, account) = (mail.envelope(), Account::named(&name));
            let seen = behaviour.assess(&Submission {
                message: &message,
                envelope: Some(&envelope),
                account: Some(&account),
                source: Some(AccountSource::Login),
                client: Some(mail.client),
                at: WallMs(at),
            });
            behaviour.accepted(&seen.footprint.unwrap(), Judged::Sent);
        }
    }
    behaviour.remembered()
}

/// The process's resident memory, in bytes; 0 where the system does not tell.
pub(crate) fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) * 1024
}
