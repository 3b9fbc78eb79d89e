//! What goes out on a link: a bounded queue that anybody puts frames into, and the stream of batches that tonic takes them from.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio_util::sync::CancellationToken;

use crate::core::{FrameQueue, QueueError};
use crate::error::SendError;
use crate::frame::{Batch, Frame};

/// The near end.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    queue: Mutex<FrameQueue>,
    waker: AtomicWaker,
    overflowed: CancellationToken,
    /// How long the last ping took there and back; 0 before it came back.
    round_trip_us: AtomicU64,
}

impl Outgoing {
    fn queue(&self) -> MutexGuard<'_, FrameQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame behind those that wait.
    pub(crate) fn send(&self, frame: Frame) -> Result<(), SendError> {
        let pushed = self.queue().push(frame);
        match pushed {
            Ok(is_first) => {
                if is_first {
                    self.waker.wake();
                }
                Ok(())
            }
            Err(QueueError::Full) => Err(SendError::Overloaded),
            Err(QueueError::Overflowed) => {
                self.overflowed.cancel();
                Err(SendError::Unreachable)
            }
            Err(QueueError::Ended) => Err(SendError::Unreachable),
        }
    }

    /// Waits until more had to wait than may: the other end takes nothing.
    pub(crate) async fn overflowed(&self) {
        self.overflowed.cancelled().await;
    }

    /// A ping came back.
    pub(super) fn set_round_trip_us(&self, us: u64) {
        self.round_trip_us.store(us.max(1), Ordering::Relaxed);
    }

    /// How long the last ping took there and back.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        let us = self.round_trip_us.load(Ordering::Relaxed);
        (us > 0).then(|| Duration::from_micros(us))
    }

    /// Takes no frame any more; the stream ends after those that wait.
    pub(crate) fn end(&self) {
        self.queue().end();
        self.waker.wake();
    }

    /// The far end. Dropped, it takes nothing any more.
    pub(crate) const fn batches(self: Arc<Self>) -> Batches {
        Batches(self)
    }
}

/// The far end, which tonic polls.
#[derive(Debug)]
pub(crate) struct Batches(Arc<Outgoing>);

impl Batches {
    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Batch>> {
        let take = || {
            let mut queue = self.0.queue();
            match queue.pop_batch() {
                Some(batch) => Poll::Ready(Some(batch)),
                None if queue.is_over() => Poll::Ready(None),
                None => Poll::Pending,
            }
        };
        let taken = take();
        if taken.is_ready() {
            return taken;
        }
        self.0.waker.register(cx.waker());
        // Something may have come since.
        take()
    }
}

impl Stream for Batches {
    type Item = Batch;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        self.poll(cx)
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.0.end();
    }
}
