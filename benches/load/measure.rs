//! What is read off the kernel about a relay and all its processes, and how times are summed up.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// CPU time since its start and memory now, of a process and everything below it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// User and system, those of children that have ended included.
    pub(crate) cpu: Duration,
    /// Proportional set size: pages that processes share are counted once.
    pub(crate) memory_bytes: u64,
}

impl Used {
    pub(crate) fn by(pid: u32) -> Self {
        let mut stats: HashMap<u32, Stat> = HashMap::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
                && let Some(stat) = Stat::read(pid)
            {
                stats.insert(pid, stat);
            }
        }
        let mut below = vec![pid];
        let mut at = 0;
        while at < below.len() {
            let parent = below[at];
            below.extend(stats.iter().filter(|(_, stat)| stat.parent == parent).map(|(&pid, _)| pid));
            at += 1;
        }
        let ticks: u64 = below.iter().filter_map(|pid| stats.get(pid)).map(|stat| stat.ticks).sum();
        let memory_bytes = below.iter().map(|&pid| memory(pid)).sum();
        // 100 a second on every architecture Linux supports today (USER_HZ).
        Self { cpu: Duration::from_millis(ticks * 10), memory_bytes }
    }
}

struct Stat {
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command's name stands in brackets and may hold anything; fields are counted after it, from 3.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
        let number = |field: usize| fields.get(field - 3).and_then(|word| word.parse::<u64>().ok());
        let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
        Some(Self { parent: u32::try_from(number(4)?).ok()?, ticks })
    }
}

fn memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// As many descriptors as the machine lets us have: thousands of sessions have two ends, and the relay inherits it.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Times, sorted.
#[derive(Debug, Default)]
pub(crate) struct Percentiles(Vec<Duration>);

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that `permille` of a thousand did not exceed.
    pub(crate) fn at(&self, permille: usize) -> Duration {
        let rank = (self.0.len() * permille).div_ceil(1000).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |permille| self.at(permille).as_secs_f64() * 1e3;
        f.pad(&format!("{:.2}/{:.2}/{:.2}/{:.1}", ms(500), ms(900), ms(990), ms(1000)))
    }
}
