//! From a domain's DNS answer to the servers in the order to try them (RFC 5321 5.1, RFC 7505). Pure.

use super::dns::DnsError;

/// How many servers of one domain are tried in one attempt to connect.
pub const SERVERS_MAX: usize = 8;

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mx {
    /// Lower is better.
    pub preference: u16,
    /// The server, without the root's dot; empty for the null MX.
    pub host: String,
}

/// Why a name leads to no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoServer {
    /// A null MX: the domain takes no mail (RFC 7505 3).
    #[error("the domain takes no mail (null MX)")]
    NullMx,
    /// The domain does not exist, or has neither MX nor address.
    #[error("the domain does not exist, or has no mail server")]
    NoSuchDomain,
    /// We are its best server, and it is not ours to deliver.
    #[error("this host is the domain's best MX, and does not deliver mail itself: mail would loop back")]
    Ourselves,
    /// No address that the egress can reach.
    #[error("no address of a family that this egress can reach")]
    NoAddress,
    /// DNS did not answer.
    #[error("DNS: {detail}")]
    Dns {
        /// Its words.
        detail: String,
    },
}

/// The servers of a domain, best first; those of the same preference in an order that `random` shuffles.
///
/// Without MX records the domain is its own server. Where one of `own_names` is among the servers, it and all that are not
/// better than it are left out: mail would come back (RFC 5321 5.1).
///
/// # Errors
/// There is no server, by answer or for now.
pub fn servers(
    domain: &str,
    answer: Result<Vec<Mx>, DnsError>,
    own_names: &[&str],
    random: u64,
) -> Result<Vec<String>, NoServer> {
    let mut records = match answer {
        Ok(records) if !records.is_empty() => records,
        Ok(_) | Err(DnsError::NoRecords) => return Ok(vec![domain.to_owned()]),
        Err(DnsError::NoSuchName) => return Err(NoServer::NoSuchDomain),
        Err(DnsError::Failed { detail }) => return Err(NoServer::Dns { detail }),
    };
    // A null MX beside others is a mistake of the domain (RFC 7505 3): the others are used.
    records.retain(|mx| !mx.host.is_empty());
    if records.is_empty() {
        return Err(NoServer::NullMx);
    }
    let ours = |mx: &&Mx| own_names.iter().any(|name| name.eq_ignore_ascii_case(&mx.host));
    if let Some(own) = records.iter().filter(ours).map(|mx| mx.preference).min() {
        records.retain(|mx| mx.preference < own);
        if records.is_empty() {
            return Err(NoServer::Ourselves);
        }
    }
    shuffle(&mut records, random);
    records.sort_by_key(|mx| mx.preference); // stable: the shuffle stays within a preference
    records.truncate(SERVERS_MAX);
    Ok(records.into_iter().map(|mx| mx.host).collect())
}

/// Fisher-Yates over splitmix64.
fn shuffle(records: &mut [Mx], mut random: u64) {
    for end in (1..records.len()).rev() {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let pick = usize::try_from((z ^ (z >> 31)) % (end as u64 + 1)).unwrap_or(0);
        records.swap(pick, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (Result<Vec<Mx>, DnsError>, Result<&'static [&'static str], NoServer>);

    #[test]
    fn answers_and_their_servers() {
        let mx = |list: &[(u16, &str)]| {
            Ok(list.iter().map(|(preference, host)| Mx { preference: *preference, host: (*host).to_owned() }).collect())
        };
        let failed = DnsError::Failed { detail: "SERVFAIL".to_owned() };
        let cases: [Case; 9] = [
            (mx(&[(20, "b"), (10, "a"), (30, "c")]), Ok(&["a", "b", "c"])),
            (mx(&[]), Ok(&["example.org"])),
            (Err(DnsError::NoRecords), Ok(&["example.org"])), // implicit MX
            (Err(DnsError::NoSuchName), Err(NoServer::NoSuchDomain)),
            (Err(failed), Err(NoServer::Dns { detail: "SERVFAIL".to_owned() })), // never a bounce
            (mx(&[(0, "")]), Err(NoServer::NullMx)),
            (mx(&[(0, ""), (10, "a")]), Ok(&["a"])),
            (mx(&[(5, "better"), (10, "US.example"), (10, "equal"), (20, "worse")]), Ok(&["better"])),
            (mx(&[(10, "us.example"), (20, "worse")]), Err(NoServer::Ourselves)),
        ];
        for (answer, expected) in cases {
            let expected = expected.map(|hosts| hosts.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(servers("example.org", answer.clone(), &["us.example"], 7), expected, "{answer:?}");
        }
    }

    #[test]
    fn equals_are_shuffled_within_their_preference() {
        let answer: Vec<Mx> =
            (0..6).map(|n| Mx { preference: if n < 3 { 10 } else { 20 }, host: format!("{n}") }).collect();
        let mut firsts = std::collections::BTreeSet::new();
        for random in 0..64 {
            let order = servers("x", Ok(answer.clone()), &[], random).unwrap();
            assert!(order[..3].iter().all(|host| ["0", "1", "2"].contains(&host.as_str())), "random {random}");
            firsts.insert(order[0].clone());
        }
        assert_eq!(firsts.len(), 3, "each of the equals comes first at times");
    }
}
