//! A request's body as hyper reads it: it tells how far it is, waits for leave, and can be stopped.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};

use super::request::{BoxBody, Kind, Replay};
use crate::error::BoxError;

/// Where the bodies of a request's attempts come from.
pub(crate) enum Source {
    Empty,
    Bytes(Bytes),
    /// Shared with the attempt, so that an attempt that never read it leaves it for the next one.
    Stream(Arc<Mutex<Stream>>),
    Replay(Replay),
}

pub(crate) struct Stream {
    body: BoxBody,
    is_read: bool,
}

impl Source {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Empty => Self::Empty,
            Kind::Bytes(bytes) => Self::Bytes(bytes),
            Kind::Stream(body) => Self::Stream(Arc::new(Mutex::new(Stream { body, is_read: false }))),
            Kind::Replay(make) => Self::Replay(make),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether another attempt could send the whole body.
    pub(crate) fn can_be_sent_again(&self) -> bool {
        match self {
            Self::Empty | Self::Bytes(_) | Self::Replay(_) => true,
            Self::Stream(stream) => !stream.lock().unwrap_or_else(PoisonError::into_inner).is_read,
        }
    }

    /// The body of one attempt.
    pub(crate) fn attempt(&self, progress: Option<&Arc<Progress>>) -> Upload {
        let what = match self {
            Self::Empty => return Upload(None),
            Self::Bytes(bytes) => What::Bytes(Some(bytes.clone())),
            Self::Stream(stream) => What::Stream(stream.clone()),
            Self::Replay(make) => What::Stream(Arc::new(Mutex::new(Stream { body: make(), is_read: false }))),
        };
        let outgoing = Outgoing { what, progress: progress.cloned() };
        // hyper never reads such a body.
        if outgoing.what.is_at_end() {
            outgoing.end();
        }
        Upload(Some(Box::new(outgoing)))
    }
}

/// How far the body of an attempt is. The exchange watches it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    flags: AtomicU8,
    body: AtomicWaker,
    exchange: AtomicWaker,
}

const ENDED: u8 = 1;
const HELD: u8 = 2;
const STOPPED: u8 = 4;

impl Progress {
    /// Of a body that waits for [`Progress::allow`].
    pub(crate) fn held() -> Self {
        Self { flags: AtomicU8::new(HELD), ..Self::default() }
    }

    /// Lets the body go.
    pub(crate) fn allow(&self) {
        self.flags.fetch_and(!HELD, Ordering::AcqRel);
        self.body.wake();
    }

    /// Makes the body fail, so that nothing more of it is sent.
    pub(crate) fn stop(&self) {
        self.flags.fetch_or(STOPPED, Ordering::AcqRel);
        self.body.wake();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.is(ENDED)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.is(HELD)
    }

    /// Has the exchange woken when the body ends.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        self.exchange.register(cx.waker());
    }

    fn end(&self) {
        self.flags.fetch_or(ENDED, Ordering::AcqRel);
        self.exchange.wake();
    }

    fn is(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Acquire) & flag != 0
    }

    /// Whether the body must wait or fail, after its waker was registered.
    fn poll_leave(&self, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        if !self.is(HELD | STOPPED) {
            return Poll::Ready(Ok(()));
        }
        self.body.register(cx.waker());
        if self.is(STOPPED) {
            return Poll::Ready(Err(Stopped));
        }
        if self.is(HELD) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

/// The response is complete, so the rest of the request is not sent.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the response came before the end of the request")]
pub(crate) struct Stopped;

/// The body of one attempt, as hyper reads it. Most requests have none, and are moved about a lot: so it is small.
pub(crate) struct Upload(Option<Box<Outgoing>>);

struct Outgoing {
    what: What,
    progress: Option<Arc<Progress>>,
}

enum What {
    Bytes(Option<Bytes>),
    Stream(Arc<Mutex<Stream>>),
}

impl Outgoing {
    fn end(&self) {
        if let Some(progress) = &self.progress {
            progress.end();
        }
    }
}

impl What {
    fn is_at_end(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_none(),
            Self::Stream(stream) => {
                stream.lock().unwrap_or_else(PoisonError::into_inner).body.is_end_stream()
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(this) = self.0.as_deref_mut() else { return Poll::Ready(None) };
        if let Some(progress) = &this.progress {
            match progress.poll_leave(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(stopped)) => return Poll::Ready(Some(Err(stopped.into()))),
                Poll::Pending => return Poll::Pending,
            }
            // A body that reads for ever would otherwise not see that it is to stop.
            progress.body.register(cx.waker());
        }
        let (polled, is_last) = match &mut this.what {
            What::Bytes(bytes) => (Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))), true),
            What::Stream(stream) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                stream.is_read = true;
                let polled = Pin::new(&mut stream.body).poll_frame(cx);
                let is_last = matches!(polled, Poll::Ready(None)) || stream.body.is_end_stream();
                (polled, is_last)
            }
        };
        if is_last && polled.is_ready() {
            this.end();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|outgoing| outgoing.what.is_at_end())
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_ref().map(|outgoing| &outgoing.what) {
            None | Some(What::Bytes(None)) => SizeHint::with_exact(0),
            Some(What::Bytes(Some(bytes))) => SizeHint::with_exact(bytes.len() as u64),
            Some(What::Stream(stream)) => {
                stream.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint()
            }
        }
    }
}
