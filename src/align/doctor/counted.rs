//! How many questions DNS answered: where it answers none at all, that is what is wrong, and not each thing asked about.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Answered, Check, Grade};
use crate::align::dns::{Asking, Kind, Lookup};

const WHY: &str = "without DNS no mail leaves, and no receiver can be found";
const MEND: &str = "ask one yourself: dig @ADDRESS example.com; they are those of [align.dns] servers, else of [dns] servers, \
                    else of /etc/resolv.conf: write others there, or open port 53 (udp and tcp) of your packet filter to them";

/// A lookup that counts.
pub(super) struct Counted {
    upstream: Arc<dyn Lookup>,
    asked: AtomicUsize,
    answered: AtomicUsize,
}

impl Counted {
    pub(super) fn new(upstream: Arc<dyn Lookup>) -> Self {
        Self { upstream, asked: AtomicUsize::new(0), answered: AtomicUsize::new(0) }
    }

    pub(super) fn answered(&self) -> Answered {
        let (asked, answered) = (self.asked.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed));
        Answered { asked, answered }
    }
}

impl Lookup for Counted {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let reply = self.upstream.ask(name, kind).await;
            if reply.answer.as_ref().map_or_else(crate::align::dns::NoAnswer::is_certain, |_| true) {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            reply
        })
    }
}

/// What is said of it.
pub(super) fn tell(dns: Answered, check: Check<'_>) {
    let Answered { asked, answered } = dns;
    match (asked, answered) {
        (0, _) => {}
        (_, 0) => check.tell(Grade::Fault, format!("the name servers answered none of {asked} questions"), WHY, MEND),
        (_, answered) => check.right(format!("the name servers answered {answered} of {asked} questions")),
    }
}
