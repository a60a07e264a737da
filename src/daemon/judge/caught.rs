//! A panic of what is awaited is an answer, not the end of who waits.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// It panicked. The hook has told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked;

/// What comes of a future, or that it panicked; then it is not polled again.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_told) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_now_or_later() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let later = async |panics: bool| {
            tokio::task::yield_now().await;
            assert!(!panics, "as asked");
            7
        };
        assert_eq!(caught(later(false)).await, Ok(7));
        assert_eq!(caught(later(true)).await, Err(Panicked));
    }
}
