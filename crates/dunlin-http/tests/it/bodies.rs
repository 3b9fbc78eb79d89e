//! Request bodies that tell what becomes of them, sockets that fail when told to, and futures given up at every point.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use dunlin_http::BoxError;
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

/// What became of a body.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    frames: AtomicUsize,
    drops: AtomicUsize,
}

impl Seen {
    /// Frames that were read of it.
    pub(crate) fn frames(&self) -> usize {
        self.frames.load(Ordering::SeqCst)
    }

    /// How often it was dropped: once at most, if all is well.
    pub(crate) fn drops(&self) -> usize {
        self.drops.load(Ordering::SeqCst)
    }
}

/// A body without end, in frames of 8 KiB.
#[derive(Debug)]
pub(crate) struct Endless(Arc<Seen>);

pub(crate) fn endless() -> (Endless, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (Endless(seen.clone()), seen)
}

impl Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.frames.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 8192])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// A body whose frames the test sends when it likes.
#[derive(Debug)]
pub(crate) struct Fed {
    frames: mpsc::UnboundedReceiver<Result<Bytes, BoxError>>,
    seen: Arc<Seen>,
}

pub(crate) type Feeder = mpsc::UnboundedSender<Result<Bytes, BoxError>>;

pub(crate) fn fed() -> (Feeder, Fed, Arc<Seen>) {
    let (feeder, frames) = mpsc::unbounded_channel();
    let seen = Arc::new(Seen::default());
    (feeder, Fed { frames, seen: seen.clone() }, seen)
}

impl Body for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.frames.poll_recv(cx);
        if matches!(polled, Poll::Ready(Some(_))) {
            self.seen.frames.fetch_add(1, Ordering::SeqCst);
        }
        polled.map(|frame| frame.map(|frame| frame.map(Frame::data)))
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.seen.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// The error that a test's own socket or body fails with.
#[derive(Debug, thiserror::Error)]
#[error("the test wants it to fail")]
pub(crate) struct Wanted;

/// Whether the error that a test's own hook gave is at the end of the chain.
pub(crate) fn is_caused_by_test(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<Wanted>() || io.is_some_and(|inner| inner.is::<Wanted>()) {
            return true;
        }
        next = error.source();
    }
    false
}

/// A socket that fails when its switches say so.
#[derive(Debug)]
pub(crate) struct Fragile<T> {
    pub(crate) io: T,
    pub(crate) breaks: Arc<Breaks>,
}

#[derive(Debug, Default)]
pub(crate) struct Breaks {
    pub(crate) reads: AtomicBool,
    pub(crate) writes: AtomicBool,
}

impl Breaks {
    pub(crate) fn break_reads(&self) {
        self.reads.store(true, Ordering::SeqCst);
    }

    pub(crate) fn break_writes(&self) {
        self.writes.store(true, Ordering::SeqCst);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Fragile<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.breaks.reads.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::Error::other(Wanted)));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Fragile<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.breaks.writes.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::Error::other(Wanted)));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Polls a future so many times, everybody else having a turn in between, and drops it: gives what it gave, if it was
/// done by then.
pub(crate) async fn given_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}
