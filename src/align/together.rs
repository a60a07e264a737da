//! Several questions at once, so that one server's silence costs the others no time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// One of several.
pub(super) type One<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Waits for all; the results stand in their order.
pub(super) async fn together<T>(mut waiting: Vec<One<'_, T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
