//! The engine's loops: each runs as long as the engine does, and begins again if it breaks off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Engine;
use super::in_hand::BrokenOff;
use crate::clock::Now;
use crate::delivery::Abandoned;

/// How long is waited before a loop that broke off begins again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether what was sent before this boot is placed by the wall clock already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PastPlaced {
    Yes,
    /// Once the wall clock is synchronised.
    Later,
}

impl Engine {
    pub(super) fn begin(
        self: &Arc<Self>,
        abandoned: UnboundedReceiver<Abandoned>,
        broken: UnboundedReceiver<BrokenOff>,
        now: Now,
        past: PastPlaced,
    ) {
        self.signals.lines.notify_one();
        self.keep_going("connections", |engine| async move { engine.connection_loop().await });
        self.keep_going("refills", |engine| async move { engine.refill_loop().await });
        self.keep_going("retries", move |engine| async move { engine.due_loop(now).await });
        self.keep_going("housekeeping", |engine| async move { engine.sweep_loop().await });
        self.keep_going("ages", |engine| async move { engine.age_loop().await });
        self.keep_going("stranded mail", |engine| async move { engine.stranded_loop().await });
        self.keep_going("gates", |engine| async move { engine.gates_loop().await });
        let abandoned = Arc::new(Mutex::new(abandoned));
        self.keep_going("abandoned attempts", move |engine| {
            let abandoned = Arc::clone(&abandoned);
            async move { engine.abandoned_loop(&abandoned).await }
        });
        let broken = Arc::new(Mutex::new(broken));
        self.keep_going("ends that broke off", move |engine| {
            let broken = Arc::clone(&broken);
            async move { engine.broken_loop(&broken).await }
        });
        if past == PastPlaced::Later {
            self.keep_going("the clock", |engine| async move { engine.retime_loop().await });
        }
    }

    async fn abandoned_loop(&self, abandoned: &Mutex<UnboundedReceiver<Abandoned>>) {
        while let Some(lost) = abandoned.lock().await.recv().await {
            self.abandoned(lost).await;
        }
    }

    async fn broken_loop(&self, broken: &Mutex<UnboundedReceiver<BrokenOff>>) {
        while let Some(end) = broken.lock().await.recv().await {
            self.broken_off(end).await;
        }
    }

    /// A panic in a loop is a fault of ours, and it must not stop all mail: what waits is read anew from the store.
    fn keep_going<F>(self: &Arc<Self>, what: &'static str, run: impl Fn(Arc<Self>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let broke_off = || {
                tracing::error!(what, "a part of the engine broke off (the panic above); it begins again");
                engine.core().forget_waiting();
                engine.signals.lines.notify_one();
            };
            again_after_panics(PAUSE, || run(Arc::clone(&engine)), broke_off).await;
        });
    }
}

async fn again_after_panics<F>(pause: Duration, run: impl Fn() -> F, broke_off: impl Fn())
where
    F: Future<Output = ()> + Send + 'static,
{
    while tokio::spawn(run()).await.is_err_and(|error| error.is_panic()) {
        broke_off();
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_loop_that_panics_begins_again_until_it_ends() {
        let (begun, broke_off) = (Cell::new(0), Cell::new(0));
        let run = || {
            begun.set(begun.get() + 1);
            let n = begun.get();
            async move { assert!(n == 3, "the panic that the test asked for") }
        };
        again_after_panics(Duration::ZERO, run, || broke_off.set(broke_off.get() + 1)).await;
        assert_eq!((begun.get(), broke_off.get()), (3, 2));
    }
}
