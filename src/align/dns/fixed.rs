//! Answers known beforehand: for judging a draft of records before they are published, for tests and benchmarks.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Asking, Data, Kind, Lookup, NoAnswer, Reply};

/// A zone held in memory. What is not in it does not exist.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    names: HashMap<String, HashMap<Kind, Result<Vec<Data>, NoAnswer>>>,
    /// Questions about these are never answered.
    silent: HashSet<String>,
}

impl Fixed {
    /// Adds one record; names have no case.
    pub fn add(&mut self, name: &str, data: Data) -> &mut Self {
        let kind = match &data {
            Data::Text(_) => Kind::Text,
            Data::Address(std::net::IpAddr::V4(_)) => Kind::Ipv4,
            Data::Address(std::net::IpAddr::V6(_)) => Kind::Ipv6,
            Data::Exchange(..) => Kind::Exchange,
            Data::Name(_) => Kind::Name,
        };
        let kinds = self.names.entry(name.to_ascii_lowercase()).or_default();
        if let Ok(records) = kinds.entry(kind).or_insert_with(|| Ok(Vec::new())) {
            records.push(data);
        }
        self
    }

    /// Adds a TXT record.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.add(name, Data::Text(text.as_bytes().into()))
    }

    /// Adds a name that exists and has nothing.
    pub fn empty(&mut self, name: &str) -> &mut Self {
        self.names.entry(name.to_ascii_lowercase()).or_default();
        self
    }

    /// Takes a name out, with all that it has.
    pub fn remove(&mut self, name: &str) {
        self.names.remove(&name.to_ascii_lowercase());
    }

    /// Lets questions of one kind about a name fail.
    pub fn fail(&mut self, name: &str, kind: Kind) -> &mut Self {
        let failed = Err(NoAnswer::Failed("the server failed".into()));
        self.names.entry(name.to_ascii_lowercase()).or_default().insert(kind, failed);
        self
    }

    /// Never answers a question about a name.
    pub fn silence(&mut self, name: &str) -> &mut Self {
        self.silent.insert(name.to_ascii_lowercase());
        self
    }

    /// Whether anything is known of a name, be it that its server is silent.
    pub fn has(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.names.contains_key(&name) || self.silent.contains(&name)
    }

    fn answer(&self, name: &str, kind: Kind) -> Result<super::Records, NoAnswer> {
        let kinds = self.names.get(&name.trim_end_matches('.').to_ascii_lowercase()).ok_or(NoAnswer::NoSuchName)?;
        kinds.get(&kind).ok_or(NoAnswer::NoRecords)?.clone().map(Into::into)
    }
}

impl Lookup for Fixed {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        if self.silent.contains(&name.trim_end_matches('.').to_ascii_lowercase()) {
            return Box::pin(std::future::pending());
        }
        Box::pin(async move { Reply::unsigned(self.answer(name, kind), Duration::from_hours(1)) })
    }
}
