//! What a configuration lacks that it works without, and that is missed on the day it is needed: told by `check` and at the
//! start.

use crate::config::Config;
use crate::delivery::DsnSettings;
use crate::intake::own_name;

/// One sentence for each: what is not written, what follows, what to write.
pub fn lacks(config: &Config) -> Vec<String> {
    let egresses = &config.delivery.egresses;
    let is_greeting_needed = egresses.is_empty() || egresses.iter().any(|egress| egress.ehlo.is_none());
    let name = is_greeting_needed.then(|| lack_of_name(&own_name(&config.intake))).flatten();
    name.into_iter().chain(lack_of_operator(&config.delivery.dsn)).collect()
}

/// The machine calls itself by a word without a dot, and no full name is found for it.
fn lack_of_name(name: &str) -> Option<String> {
    (!name.contains('.')).then(|| {
        format!(
            "this machine calls itself \"{name}\", and `hostname --fqdn` tells no name with a dot: next hops are greeted with an \
             address in brackets, which some refuse; write intake.own_name, or the ehlo of each [[egress]]"
        )
    })
}

fn lack_of_operator(dsn: &DsnSettings) -> Option<String> {
    dsn.operator.is_none().then(|| {
        "dsn.operator is not set: a report that cannot be delivered (a bounce of a bounce) goes to nobody; it is held, and after \
         retry.age_max only the event dsn.to-operator tells of it; write a mailbox that is read, such as \
         operator = \"postmaster@example.com\" in [dsn]"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::settings::EgressSettings;
    use crate::mail::Address;

    #[test]
    fn each_lack_is_told_with_what_to_write() {
        let mut config = Config::default();
        let lacks_operator =
            |config: &Config| lacks(config).iter().any(|lack| lack.contains("dsn.operator is not set"));
        assert!(lacks_operator(&config), "{:?}", lacks(&config));
        config.delivery.dsn.operator = Some(Address::parse(b"postmaster@example.com").unwrap());
        assert!(!lacks_operator(&config), "{:?}", lacks(&config));
        for (name, expected) in [("host", true), ("host.example", false)] {
            assert_eq!(lack_of_name(name).is_some(), expected, "{name}");
        }
        let named = EgressSettings { ehlo: Some("mail.example".to_owned()), ..EgressSettings::default() };
        config.delivery.egresses = vec![named];
        assert_eq!(lacks(&config), [""; 0], "every egress has a name to greet with");
    }
}
