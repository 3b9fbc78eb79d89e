//! Calls of user code that wait. One that does not was polled in place where it began (`service/start.rs`) and never comes
//! here: it costs no task, no timer and no wake-up.
//!
//! What waits goes into a set that the shard polls, and is bounded by the request timeout. A panic ends the call, never
//! the shard.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::SlotKey;
use crate::app::Stats;
use crate::error::{Error, Result};
use crate::service::{Reply, Started};

/// How user code ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It returned.
    Returned(T),
    /// It panicked; the panic was reported by the process's hook.
    Panicked,
    /// It did not return in time and was dropped.
    TimedOut,
    /// It had to wait where too much waits already, and was dropped.
    Crowded,
}

impl Outcome<Result<Reply>> {
    /// What is answered, with what went wrong noted.
    pub(crate) fn settle(self, route: &str, stats: &Stats) -> Result<Reply> {
        match self {
            Self::Returned(result) => result,
            Self::Panicked => {
                stats.panics.add(1);
                tracing::error!(%route, "a handler panicked");
                Err(Error::internal("internal error"))
            }
            Self::TimedOut => {
                stats.timeouts.add(1);
                tracing::warn!(%route, "a handler took too long and was dropped");
                Err(Error::timeout("the handler did not finish in time"))
            }
            Self::Crowded => {
                stats.overloads.add(1);
                Err(Error::overloaded("too many calls are waiting"))
            }
        }
    }
}

/// Awaits user code to its end, or to the end of its time, for those who have no shard to do so.
pub(crate) async fn awaited<T>(
    mut future: Pin<Box<dyn Future<Output = T> + Send>>,
    deadline: Instant,
) -> Outcome<T> {
    let outcome = match timeout_at(deadline, AssertUnwindSafe(&mut future).catch_unwind()).await {
        Ok(Ok(value)) => Outcome::Returned(value),
        Ok(Err(_)) => Outcome::Panicked,
        Err(_) => Outcome::TimedOut,
    };
    // Its drop is user code too.
    catch_unwind(AssertUnwindSafe(|| drop(future))).ok();
    outcome
}

/// Polls a future once, containing its panic.
fn poll_contained<T>(
    future: &mut Pin<Box<dyn Future<Output = T> + Send>>,
    cx: &mut Context<'_>,
) -> Poll<Outcome<T>> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Outcome::Returned(value)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Outcome::Panicked),
    }
}

/// A call that waits.
struct Waiting<T, L> {
    key: SlotKey,
    label: Option<L>,
    /// `None` once it is done: the user's future may own much, so it goes at once.
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    deadline: Pin<Box<tokio::time::Sleep>>,
}

/// The outcome of a call that had to wait.
pub(crate) struct Done<T, L> {
    pub(crate) key: SlotKey,
    pub(crate) label: L,
    pub(crate) outcome: Outcome<T>,
}

impl<T, L: Unpin> Future for Waiting<T, L> {
    type Output = Option<Done<T, L>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(future) = this.future.as_mut() else { return Poll::Ready(None) };
        let outcome = match poll_contained(future, cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending if this.deadline.as_mut().poll(cx).is_ready() => Outcome::TimedOut,
            Poll::Pending => return Poll::Pending,
        };
        let finished = this.future.take();
        // Its drop is user code too.
        catch_unwind(AssertUnwindSafe(|| drop(finished))).ok();
        Poll::Ready(this.label.take().map(|label| Done { key: this.key, label, outcome }))
    }
}

/// The calls of one shard that wait.
pub(crate) struct Aside<T, L> {
    waiting: FuturesUnordered<Waiting<T, L>>,
    timeout: Duration,
}

/// Calls of one shard that may wait. A session is bounded by its unanswered messages; this bounds what clients leave
/// behind that start calls and go, over and over. Calls that do not wait are never refused.
pub(crate) const WAITING_MAX: usize = 65_536;

impl<T: Send + 'static, L: Unpin> Aside<T, L> {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { waiting: FuturesUnordered::new(), timeout }
    }

    /// The next call that is done. `None`: nothing is done now; the task is woken when that changes.
    pub(crate) fn poll_done(&mut self, cx: &mut Context<'_>) -> Option<Done<T, L>> {
        if self.waiting.is_empty() {
            return None;
        }
        while let Poll::Ready(Some(done)) = self.waiting.poll_next_unpin(cx) {
            if done.is_some() {
                return done;
            }
        }
        None
    }

    /// The outcome of work that was begun. If it waits, it is kept, and its outcome comes from [`Aside::poll_done`] with
    /// `key` and label.
    pub(crate) fn keep(
        &mut self,
        key: SlotKey,
        label: impl FnOnce() -> L,
        started: Started<T>,
    ) -> Poll<Outcome<T>> {
        let future = match started {
            Started::Done(value) => return Poll::Ready(Outcome::Returned(value)),
            Started::Panicked => return Poll::Ready(Outcome::Panicked),
            Started::Waits(future) => future,
        };
        if self.waiting.len() >= WAITING_MAX {
            // Its drop is user code.
            catch_unwind(AssertUnwindSafe(|| drop(future))).ok();
            return Poll::Ready(Outcome::Crowded);
        }
        let deadline = Box::pin(tokio::time::sleep(self.timeout));
        self.waiting.push(Waiting { key, label: Some(label()), future: Some(future), deadline });
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whatever_becomes_of_user_code_that_is_awaited_stays_in_it_its_drop_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let soon = Instant::now() + Duration::from_secs(1);
        assert!(matches!(awaited(Box::pin(async { 7 }), soon).await, Outcome::Returned(7)));
        let panics = async {
            panic!("asked to");
        };
        assert!(matches!(awaited::<()>(Box::pin(panics), soon).await, Outcome::Panicked));
        let late = async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        };
        assert!(matches!(awaited(Box::pin(late), soon).await, Outcome::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_bound_a_call_that_must_wait_is_refused_and_one_that_need_not_is_served() {
        let key = SlotKey { index: 0, generation: 0 };
        let mut aside = Aside::<u32, u32>::new(Duration::from_secs(10));
        for label in 0..u32::try_from(WAITING_MAX).unwrap() {
            assert!(
                aside.keep(key, || label, Started::polled(Box::pin(std::future::pending()))).is_pending()
            );
        }
        let refused = aside.keep(key, || 0, Started::polled(Box::pin(std::future::pending())));
        assert!(matches!(refused, Poll::Ready(Outcome::Crowded)), "{refused:?}");
        let served = aside.keep(key, || 0, Started::polled(Box::pin(async { 7 })));
        assert!(matches!(served, Poll::Ready(Outcome::Returned(7))), "{served:?}");
        tokio::time::advance(Duration::from_secs(11)).await;
        let count = std::future::poll_fn(|cx| {
            let mut count = 0;
            while aside.poll_done(cx).is_some() {
                count += 1;
            }
            Poll::Ready(count)
        });
        // As the shard does: it has budgets of its own.
        let timed_out = tokio::task::coop::unconstrained(count).await;
        assert_eq!(timed_out, WAITING_MAX, "each ends by its deadline");
    }
}
