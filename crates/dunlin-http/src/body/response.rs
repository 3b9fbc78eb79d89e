//! The body of a response, and what becomes of its connection when the body ends, fails or is dropped.
//!
//! Read to its end, the connection is back in the pool before the reader sees the end. Dropped before, what is left of
//! it is read on for a moment if it is short, else the connection is closed.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::upload::{Progress, Stopped};
use crate::conn::{Conn, ConnInfo, Lease};
use crate::error::{Error, ErrorKind};
use crate::limits::UPLOAD_GRACE;
use crate::stats::CloseCause;
use crate::trace::Trace;

/// The body of a response. Read it to its end, or the connection may be lost to the next request.
///
/// It knows how to be collected by `http_body_util::BodyExt`, and how to be read frame by frame.
///
/// # Cancel safety
///
/// Reading a frame is cancel safe. Dropping the body gives its connection back: it is read on up to
/// [`DRAIN_LEN_MAX`](crate::limits::DRAIN_LEN_MAX) and [`DRAIN_TIMEOUT`](crate::limits::DRAIN_TIMEOUT) if there is hope
/// that this ends it, and closed (HTTP/1) or its stream reset (HTTP/2) otherwise.
pub struct ResponseBody {
    state: State,
    conn: Option<Arc<Conn>>,
}

enum State {
    Live(Box<Live>),
    Given(Bytes),
    Ended,
}

type Cancelled = Pin<Box<WaitForCancellationFutureOwned>>;

/// A body that has its connection.
pub(crate) struct Live {
    incoming: Incoming,
    lease: Lease,
    upload: Option<Arc<Progress>>,
    cancelled: Option<Cancelled>,
    trace: Option<Arc<dyn Trace>>,
    drain_len_max: u64,
    drain_timeout: Duration,
    /// The response is complete; what is left is to give the connection back.
    is_at_end: bool,
    grace: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(crate) fn new(live: Live, conn: Arc<Conn>) -> Self {
        Self { state: State::Live(Box::new(live)), conn: Some(conn) }
    }

    pub(crate) const fn ended(conn: Arc<Conn>) -> Self {
        Self { state: State::Ended, conn: Some(conn) }
    }

    /// The connection that it came over; `None` for a body that came over none.
    #[must_use]
    pub fn conn(&self) -> Option<&ConnInfo> {
        self.conn.as_deref().map(|conn| &conn.info)
    }

    /// Ends the exchange; what becomes of the connection is known then.
    fn end(&mut self, reuse: Result<(), CloseCause>) {
        if let State::Live(live) = std::mem::replace(&mut self.state, State::Ended) {
            live.give_back(reuse);
        }
    }
}

impl Live {
    pub(crate) fn new(
        incoming: Incoming,
        lease: Lease,
        (upload, cancelled): (Option<Arc<Progress>>, Option<Cancelled>),
        (trace, (drain_len_max, drain_timeout)): (Option<Arc<dyn Trace>>, (u64, Duration)),
    ) -> Self {
        Self {
            incoming,
            lease,
            upload,
            cancelled,
            trace,
            drain_len_max,
            drain_timeout,
            is_at_end: false,
            grace: None,
        }
    }

    fn give_back(self, reuse: Result<(), CloseCause>) {
        let Self { incoming, lease, upload, trace, .. } = self;
        if !lease.conn.is_http1() {
            // Dropping what is left of both bodies resets the stream; the connection is none the worse for it.
            drop(incoming);
            if let Some(upload) = upload.filter(|upload| !upload.has_ended()) {
                upload.stop();
            }
        }
        give_back(lease, reuse, trace.as_deref());
    }

    fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> bool {
        self.cancelled.as_mut().is_some_and(|cancelled| cancelled.as_mut().poll(cx).is_ready())
    }

    /// Whether the connection can serve again, as soon as that is certain.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseCause>> {
        poll_end(&mut self.lease, self.upload.as_deref(), &mut self.grace, cx)
    }

    fn failed(&self, error: hyper::Error) -> (Error, Result<(), CloseCause>) {
        let conn = &self.lease.conn;
        let known = conn.cause().filter(|cause| *cause != CloseCause::Timeout).map(Error::from_close);
        let error = known.unwrap_or_else(|| Error::from_hyper(error));
        let cause = if error.is_timeout() { CloseCause::Timeout } else { CloseCause::Exchange };
        (error.to(&conn.info.key).having_sent(true), Err(cause))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let live = match &mut this.state {
            State::Live(live) => live,
            State::Given(bytes) => {
                let bytes = std::mem::take(bytes);
                this.state = State::Ended;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            State::Ended => return Poll::Ready(None),
        };
        if !live.is_at_end {
            if live.poll_cancelled(cx) {
                let error = Error::new(ErrorKind::Cancelled).to(&live.lease.conn.info.key).having_sent(true);
                let is_http1 = live.lease.conn.is_http1();
                this.end(if is_http1 { Err(CloseCause::Cancelled) } else { Ok(()) });
                return Poll::Ready(Some(Err(error)));
            }
            match ready!(Pin::new(&mut live.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // The end may come with the last bytes; a reader who counts them will not ask again.
                    if live.incoming.is_end_stream() {
                        live.is_at_end = true;
                        if let Poll::Ready(reuse) = live.poll_end(cx) {
                            this.end(reuse);
                        }
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(error)) => {
                    let (error, reuse) = live.failed(error);
                    this.end(reuse);
                    return Poll::Ready(Some(Err(error)));
                }
                None => live.is_at_end = true,
            }
        }
        let reuse = ready!(live.poll_end(cx));
        this.end(reuse);
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Live(live) => live.incoming.size_hint(),
            State::Given(bytes) => SizeHint::with_exact(bytes.len() as u64),
            State::Ended => SizeHint::with_exact(0),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let State::Live(live) = std::mem::replace(&mut self.state, State::Ended) else { return };
        if !live.lease.conn.is_http1() {
            live.give_back(Ok(()));
            return;
        }
        let left = live.incoming.size_hint().exact();
        let is_short = live.is_at_end || left.is_none_or(|left| left <= live.drain_len_max);
        let runtime = tokio::runtime::Handle::try_current().ok();
        match runtime.filter(|_| is_short && !live.drain_timeout.is_zero()) {
            Some(runtime) => drop(runtime.spawn(drain(live))),
            None => live.give_back(Err(CloseCause::Cancelled)),
        }
    }
}

/// Reads on what nobody wants, so that the connection can serve again.
async fn drain(mut live: Box<Live>) {
    let mut left = live.drain_len_max;
    let limit = live.drain_timeout;
    let to_end = async {
        while !live.is_at_end {
            match poll_fn(|cx| Pin::new(&mut live.incoming).poll_frame(cx)).await {
                Some(Ok(frame)) => {
                    let len = frame.data_ref().map_or(0, |data| data.len() as u64);
                    left = left.checked_sub(len).ok_or(CloseCause::Cancelled)?;
                }
                Some(Err(_)) => return Err(CloseCause::Exchange),
                None => live.is_at_end = true,
            }
        }
        poll_fn(|cx| live.poll_end(cx)).await
    };
    let reuse = timeout(limit, to_end).await.unwrap_or(Err(CloseCause::Cancelled));
    live.give_back(reuse);
}

/// A body that came over no connection, for transports that are played in tests.
impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        let state = if bytes.is_empty() { State::Ended } else { State::Given(bytes) };
        Self { state, conn: None }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("conn", &self.conn()).finish_non_exhaustive()
    }
}

/// Ends the exchange of a response without a body.
pub(crate) async fn finish(mut lease: Lease, upload: Option<&Progress>, trace: Option<&dyn Trace>) {
    let mut grace = None;
    let reuse = poll_fn(|cx| poll_end(&mut lease, upload, &mut grace, cx)).await;
    give_back(lease, reuse, trace);
}

fn give_back(lease: Lease, reuse: Result<(), CloseCause>, trace: Option<&dyn Trace>) {
    let is_http1 = lease.conn.is_http1();
    if lease.conn.meter.ends_unwritten()
        && let Some(trace) = trace
    {
        trace.wrote_request(Err(&Stopped));
    }
    let result = lease.release(reuse);
    if let Some(trace) = trace.filter(|_| is_http1) {
        trace.put_idle_conn(result);
    }
}

/// The response is complete. HTTP/1: the connection serves again when the request is complete too, which is awaited
/// for a moment. HTTP/2: the rest of the request is not sent.
fn poll_end(
    lease: &mut Lease,
    upload: Option<&Progress>,
    grace: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), CloseCause>> {
    if !lease.conn.is_http1() {
        if let Some(upload) = upload.filter(|upload| !upload.has_ended()) {
            upload.stop();
        }
        return Poll::Ready(Ok(()));
    }
    let never_ends = upload.is_some_and(Progress::is_held) || lease.conn.meter.is_write_broken();
    if never_ends {
        return Poll::Ready(Err(CloseCause::Exchange));
    }
    if let Poll::Ready(ready) = lease.poll_ready(cx) {
        return Poll::Ready(ready.map_err(|()| lease.conn.cause_of_last()));
    }
    let grace = grace.get_or_insert_with(|| Box::pin(sleep(UPLOAD_GRACE)));
    grace.as_mut().poll(cx).map(|()| Err(CloseCause::Exchange))
}
