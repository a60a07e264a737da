//! The test suite of RFC 7208 (openspf.org, as pyspf ships it): every case, or a named deviation.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use outguard::align::dns::{Asking, Data, Kind, Lookup, NoAnswer, Reply};
use outguard::align::spf::{Identity, check_host};
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

/// Cases whose result we mean to be another one, with the reason.
const DEVIATIONS: [(&str, &str); 0] = [];

/// The zone of one group of cases.
#[derive(Default)]
struct Zone(HashMap<String, Name>);

#[derive(Default)]
struct Name {
    data: Vec<Data>,
    alias: Option<String>,
    /// Kinds that are not given get no answer.
    silent: bool,
}

impl Zone {
    fn of(zone: &Hash) -> Self {
        let mut names: HashMap<String, Name> = HashMap::new();
        for (name, records) in zone {
            let Some(records) = records.as_vec() else { continue };
            let entry = names.entry(text(name).to_ascii_lowercase()).or_default();
            let has_text = records.iter().any(|record| !record["TXT"].is_badvalue());
            for record in records {
                if record.as_str() == Some("TIMEOUT") {
                    entry.silent = true;
                }
                for (kind, value) in record.as_hash().into_iter().flatten() {
                    match (kind.as_str().unwrap(), value) {
                        ("TXT" | "SPF" | "A" | "AAAA" | "MX", Yaml::String(s)) if s == "TIMEOUT" => entry.silent = true,
                        (_, Yaml::String(s)) if s == "NONE" => {}
                        ("CNAME", to) => entry.alias = Some(text(to)),
                        // A record of type 99 stands for a TXT record too, unless the name has its own (see the suite).
                        ("SPF", _) if has_text => {}
                        ("SPF" | "TXT", value) => entry.data.push(Data::Text(bytes(value).into())),
                        ("A" | "AAAA", value) => entry.data.push(Data::Address(text(value).parse().unwrap())),
                        ("MX", value) => {
                            let host = text(&value[1]);
                            let preference = u16::try_from(value[0].as_i64().unwrap()).unwrap();
                            entry.data.push(Data::Exchange(preference, host.into()));
                        }
                        ("PTR", value) => entry.data.push(Data::Name(text(value).into())),
                        (kind, _) => panic!("a record of kind {kind}"),
                    }
                }
            }
        }
        Self(names)
    }

    fn answer(&self, name: &str, kind: Kind, aliases_left: u8) -> Result<Vec<Data>, NoAnswer> {
        let entry = self.0.get(&name.trim_end_matches('.').to_ascii_lowercase()).ok_or(NoAnswer::NoSuchName)?;
        if let Some(alias) = &entry.alias {
            let failed = NoAnswer::Failed("too many aliases".into());
            return self.answer(alias, kind, aliases_left.checked_sub(1).ok_or(failed)?);
        }
        let wanted = |data: &&Data| {
            matches!(
                (data, kind),
                (Data::Text(_), Kind::Text)
                    | (Data::Exchange(..), Kind::Exchange)
                    | (Data::Name(_), Kind::Name)
                    | (Data::Address(std::net::IpAddr::V4(_)), Kind::Ipv4)
                    | (Data::Address(std::net::IpAddr::V6(_)), Kind::Ipv6)
            )
        };
        let found: Vec<Data> = entry.data.iter().filter(wanted).cloned().collect();
        match found.is_empty() {
            true if entry.silent => Err(NoAnswer::Failed("no answer".into())),
            true => Err(NoAnswer::NoRecords),
            false => Ok(found),
        }
    }
}

impl Lookup for Zone {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        let answer = self.answer(name, kind, 8).map(Into::into);
        Box::pin(async { Reply::unsigned(answer, Duration::from_mins(1)) })
    }
}

fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        other => panic!("no text: {other:?}"),
    }
}

/// The strings of a record joined; a character stands for the byte of its number.
fn bytes(value: &Yaml) -> Vec<u8> {
    match value {
        Yaml::Array(strings) => strings.iter().flat_map(bytes).collect(),
        one => text(one).chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
    }
}

fn results(expected: &Yaml) -> Vec<String> {
    match expected {
        Yaml::Array(several) => several.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

#[tokio::test]
async fn every_case_of_the_suite() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/peers/suites/rfc7208-tests.yml");
    let Ok(suite) = std::fs::read_to_string(&file) else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: the suite of RFC 7208 is not at {}; ./check fetches it",
            file.display()
        );
        return;
    };
    let mut faults = Vec::new();
    let mut count = 0;
    for group in YamlLoader::load_from_str(&suite).unwrap() {
        let zone = Zone::of(group["zonedata"].as_hash().unwrap());
        for (name, case) in group["tests"].as_hash().unwrap() {
            count += 1;
            let name = text(name);
            let (ehlo, sender) = (text(&case["helo"]), text(&case["mailfrom"]));
            let sender = if sender.is_empty() { format!("postmaster@{ehlo}") } else { sender };
            let identity = Identity { address: text(&case["host"]).parse().unwrap(), sender: &sender, ehlo: &ehlo };
            let spf = check_host(&zone, identity, identity.sender_domain()).await;
            let expected = results(&case["result"]);
            let is_right = expected.iter().any(|result| result == spf.result.as_str());
            let deviation = DEVIATIONS.iter().find(|(case, _)| *case == name);
            match deviation {
                Some((_, reason)) if is_right => faults.push(format!("{name} passes; no deviation any more: {reason}")),
                None if !is_right => {
                    faults.push(format!("{name}: {} ({}), not {expected:?}", spf.result.as_str(), spf.detail));
                }
                _ => {}
            }
        }
    }
    assert_eq!(count, 203, "cases of the release 2014.04 with the additions of pyspf 2.0.14");
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
}
