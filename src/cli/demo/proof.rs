//! The proof: reckoned from the sink's arrivals alone, the slow way, without a line of outguard's limits.

use std::collections::HashMap;
use std::io::Write;

use super::super::exit::Failed;
use super::super::table::Table;
use super::sender::Sender;
use super::sink::Arrival;
use super::{ACCOUNT_SLOTS, EGRESS_SLOTS, Pace};

/// Prints the proof; fails if there is none.
pub(super) fn print(senders: &[Sender], arrived: &[Arrival], pace: Pace, out: &mut dyn Write) -> Result<(), Failed> {
    let window_ms = pace.window_secs * 1_000;
    writeln!(
        out,
        "\nReckoned from the next hop's own clock: for each arrival, all that came within the {} s from it.\n",
        pace.window_secs
    )?;
    let mut table = Table::new(&["WHOSE", "LIMIT", ">ARRIVED", ">MOST IN ANY WINDOW"]);
    let mut faults = Vec::new();
    let accounts = senders.iter().map(|sender| (Some(sender.account), ACCOUNT_SLOTS));
    for (account, slots) in accounts.chain([(None, EGRESS_SLOTS)]) {
        let times: Vec<u64> = arrived
            .iter()
            .filter(|arrival| account.is_none_or(|account| arrival.from == account))
            .map(|arrival| arrival.at.0)
            .collect();
        let most = most_in_a_window(&times, window_ms);
        let whose = account.unwrap_or("the egress, all together");
        table.row(&[whose.to_owned(), format!("{slots}/{}", pace.window()), times.len().to_string(), most.to_string()]);
        if most > slots {
            faults.push(format!("{whose}: {most} arrived within one window, over the limit of {slots}"));
        }
    }
    table.print(out)?;
    faults.extend(lost_and_doubled(senders, arrived));
    if !faults.is_empty() {
        return Err(Failed::Demo { what: faults.join("\n") });
    }
    writeln!(out, "\nNo window passed its limit. Every message arrived, each once.")?;
    Ok(())
}

/// The most arrivals in any [s, s + window): one that holds the most can be moved until it begins at an arrival.
fn most_in_a_window(times: &[u64], window_ms: u64) -> usize {
    let within = |start: u64| times.iter().filter(|&&at| at >= start && at < start + window_ms).count();
    times.iter().map(|&start| within(start)).max().unwrap_or(0)
}

fn lost_and_doubled(senders: &[Sender], arrived: &[Arrival]) -> Vec<String> {
    let mut counts: HashMap<(String, String, String), usize> = HashMap::new();
    for arrival in arrived {
        *counts.entry((arrival.from.clone(), arrival.to.clone(), arrival.subject.clone())).or_default() += 1;
    }
    let mut faults = Vec::new();
    for sender in senders {
        for (to, subject) in sender.deliveries() {
            match counts.remove(&(sender.account.to_owned(), to.clone(), subject.clone())) {
                Some(1) => {}
                Some(times) => faults.push(format!("{subject} of {} arrived {times} times at {to}", sender.account)),
                None => faults.push(format!("{subject} of {} did not arrive at {to}", sender.account)),
            }
        }
    }
    faults.extend(counts.keys().map(|(from, to, subject)| format!("{subject} of {from} to {to} was never sent")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootMs;

    #[test]
    fn windows_are_half_open() {
        assert_eq!(most_in_a_window(&[0, 999, 1_000], 1_000), 2, "[0, 1000) holds two, [999, 1999) two");
        assert_eq!(most_in_a_window(&[0, 998, 999], 1_000), 3);
        assert_eq!(most_in_a_window(&[], 1_000), 0);
    }

    #[test]
    fn it_can_fail() {
        let senders = Sender::all(60);
        let all = |spread_ms: u64| -> Vec<Arrival> {
            let mut at = 0;
            let mut arrived = Vec::new();
            for sender in &senders {
                for (to, subject) in sender.deliveries() {
                    at += spread_ms;
                    arrived.push(Arrival { at: BootMs(at), from: sender.account.into(), to, subject });
                }
            }
            arrived
        };
        let pace = Pace { window_secs: 60, windows_max: 4 };
        let fails = |arrived: &[Arrival]| print(&senders, arrived, pace, &mut Vec::new()).err().map(|e| e.to_string());
        assert_eq!(fails(&all(4_000)), None);
        assert!(fails(&all(1)).unwrap().contains("over the limit of 20"));
        assert!(fails(&all(4_000)[1..]).unwrap().contains("did not arrive"));
        let mut doubled = all(4_000);
        doubled.push(Arrival { at: BootMs(1 << 40), ..doubled[0].clone() });
        assert!(fails(&doubled).unwrap().contains("arrived 2 times"));
    }
}
