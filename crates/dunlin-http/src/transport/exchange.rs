//! One attempt: a request over one connection, and what the wait for its response is bounded by.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::plan::{Plan, says_close};
use crate::body::{Live, Progress, ResponseBody, Upload, finish};
use crate::config::Settings;
use crate::conn::{Conn, Lease, Mark, Meter, Sender, Traced, read_buf_len_max};
use crate::error::{Error, ErrorKind, TimeoutKind};
use crate::stats::CloseCause;
use crate::trace::Trace;

/// An attempt that gave no response.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether the request may be sent again.
    pub(crate) may_retry: bool,
    /// Whether the server refused it, so that the same connection would serve the next attempt.
    pub(crate) is_refused: bool,
}

type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

/// Sends the request and waits for the head of its response.
///
/// Dropped before that, it closes the connection (HTTP/1) or resets the stream (HTTP/2).
pub(crate) async fn exchange(
    settings: &Settings,
    plan: &mut Plan,
    mut lease: Lease,
) -> Result<Response<ResponseBody>, Failure> {
    let is_http1 = lease.conn.is_http1();
    let conn = lease.conn.clone();
    let can_repeat = lease.reuse.is_reused && plan.body.can_be_sent_again();
    let failed =
        |error: Error| Failure { error: error.to(&conn.info.key), may_retry: false, is_refused: false };
    let hold = settings.expect_continue_timeout.filter(|_| plan.expects_continue && is_http1);
    let upload = (!plan.body.is_empty())
        .then(|| Arc::new(if hold.is_some() { Progress::held() } else { Progress::default() }));
    let body = plan.body.attempt(upload.as_ref());
    let mut request = plan.request((&conn, can_repeat), body).map_err(failed)?;
    let listens = plan.trace.is_some() || hold.is_some();
    let is_broken_off = listens.then(|| listen(&mut request, plan, upload.as_ref(), &conn));
    if let Some(cause) = plan.closes {
        conn.ends_with_exchange(cause);
    }
    let mark = begin(settings, plan, &conn, (upload.as_ref(), listens));
    if let (Some(trace), true) = (&plan.trace, hold.is_some()) {
        trace.wait_100_continue();
    }

    let mut watch = Watch {
        meter: &conn.meter,
        is_http1,
        mark,
        upload: upload.as_deref(),
        trace: plan.trace.as_deref().filter(|_| !is_http1),
        is_broken_off: is_broken_off.as_deref(),
        cancelled: plan.cancel.clone().map(|token| Box::pin(token.cancelled_owned())),
        hold: hold.map(|limit| Timer { limit, sleep: None }),
        header: settings.response_header_timeout.map(|limit| Timer { limit, sleep: None }),
        is_told: listens || settings.response_header_timeout.is_some(),
        is_written: false,
    };
    let result = match lease.begin() {
        Some(Sender::Http1(sender)) => watch.until_head(pin!(sender.try_send_request(request))).await,
        Some(Sender::Http2(sender)) => watch.until_head(pin!(sender.try_send_request(request))).await,
        None => return Err(failed(Error::new(ErrorKind::ClosedByPeer))),
    };
    let cancelled = watch.cancelled.take();
    let mut response = match result {
        Ok(response) => response,
        Err(why) => {
            let is_unwritten = !watch.is_written && watch.trace.is_some() || conn.meter.ends_unwritten();
            let failure = fail(lease, plan, (mark, can_repeat), why);
            if let (true, Some(trace)) = (is_unwritten, &plan.trace) {
                trace.wrote_request(Err(&failure.error));
            }
            return Err(failure);
        }
    };
    watch.tell_written();
    conn.meter.got_head();
    match look_at_head(plan, &mut lease, upload.as_deref(), &mut response) {
        Next::Upgraded => lease.detach(),
        Next::Ended => finish(lease, upload.as_deref(), plan.trace.as_deref()).await,
        Next::Body => {
            let trace = plan.trace.clone();
            let drain = (settings.drain_len_max, settings.drain_timeout);
            return Ok(response.map(|incoming| {
                let live = Live::new(incoming, lease, (upload, cancelled), (trace, drain));
                ResponseBody::new(live, conn)
            }));
        }
    }
    Ok(response.map(|_| ResponseBody::ended(conn)))
}

/// Notes where the connection is, and what of its bytes is to be told.
fn begin(
    settings: &Settings,
    plan: &Plan,
    conn: &Conn,
    (upload, listens): (Option<&Arc<Progress>>, bool),
) -> Mark {
    let is_http1 = conn.is_http1();
    let head_max = (settings.max_response_header_bytes + read_buf_len_max(settings)) as u64;
    let head_max = (is_http1 && plan.trace.is_none()).then_some(head_max);
    // What waits until the request has left: a trace that is told, a body that is held, and the time of the response.
    let waits_for_flush = is_http1 && (listens || settings.response_header_timeout.is_some());
    let traced = plan.trace.as_ref().filter(|_| is_http1).map(|trace| Traced::new(trace, upload));
    conn.meter.begin(head_max, waits_for_flush, traced)
}

/// Why there is no head.
enum Why {
    /// hyper says so; and whether it never began with the request.
    Failed { error: hyper::Error, is_unsent: bool },
    /// The wait for it was ended.
    Ended(Error),
}

/// Decides by Go's rule whether to try again, and gives the connection back.
fn fail(lease: Lease, plan: &Plan, (mark, can_repeat): (Mark, bool), why: Why) -> Failure {
    let conn = lease.conn.clone();
    let is_http1 = conn.is_http1();
    let (error, is_unsent, is_refused) = match why {
        Why::Ended(error) => (error, false, false),
        Why::Failed { error, is_unsent } => {
            let is_refused = is_unprocessed(&error);
            let error = match (conn.cause(), conn.meter.take_write_error()) {
                (Some(cause), _) if cause != CloseCause::Timeout => Error::from_close(cause),
                (_, Some(write_error)) if !error.is_parse() && !error.is_user() => {
                    Error::from_write(write_error)
                }
                _ => Error::from_hyper(error),
            };
            (error, is_unsent, is_refused)
        }
    };
    let has_sent = if is_http1 { conn.meter.has_sent_since(mark) } else { !is_unsent };
    let is_lost = error.kind() == ErrorKind::ClosedByPeer;
    let is_harmless = is_unsent
        || is_refused
        || (is_http1 && !has_sent)
        || (is_http1 && plan.is_idempotent && !conn.meter.has_received_since(mark));
    let cause = match error.kind() {
        ErrorKind::Timeout(_) => CloseCause::Timeout,
        ErrorKind::Cancelled => CloseCause::Cancelled,
        ErrorKind::ClosedByPeer => CloseCause::Peer,
        _ => CloseCause::Exchange,
    };
    // The failure is told; what becomes of the connection is the pool's business.
    lease.release(Err(cause)).ok();
    // The attempt may have read from a stream that was whole when it began.
    let is_whole = can_repeat && plan.body.can_be_sent_again();
    Failure {
        error: error.to(&conn.info.key).having_sent(has_sent),
        may_retry: is_whole && is_lost && is_harmless,
        is_refused,
    }
}

/// HTTP/2 says of a request that it was not looked at: it was refused, or came after the last one that the server
/// named in its goodbye. Those before it are answered and have no such error.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let is_after_goodbye =
                error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
            return is_after_goodbye || error.reason() == Some(h2::Reason::REFUSED_STREAM);
        }
        source = error.source();
    }
    false
}

/// Has informational responses heard. Returns where it is noted that one of them broke the request off.
fn listen(
    request: &mut Request<Upload>,
    plan: &Plan,
    upload: Option<&Arc<Progress>>,
    conn: &Conn,
) -> Arc<AtomicBool> {
    let is_broken_off = Arc::<AtomicBool>::default();
    let listener = Listener {
        trace: plan.trace.clone(),
        upload: upload.cloned(),
        meter: conn.meter.clone(),
        is_broken_off: is_broken_off.clone(),
    };
    hyper::ext::on_informational(request, move |response| {
        listener.hear(response.status(), response.headers());
    });
    is_broken_off
}

/// Hears informational responses: leave to send the body, and what a trace wants to know.
struct Listener {
    trace: Option<Arc<dyn Trace>>,
    upload: Option<Arc<Progress>>,
    meter: Arc<Meter>,
    is_broken_off: Arc<AtomicBool>,
}

impl Listener {
    fn hear(&self, status: StatusCode, headers: &HeaderMap) {
        if let (StatusCode::CONTINUE, Some(upload)) = (status, &self.upload) {
            upload.allow();
            if let Some(trace) = &self.trace {
                trace.got_100_continue();
            }
        }
        let told = self.trace.as_ref().map(|trace| trace.got_1xx(status, headers));
        if told == Some(ControlFlow::Break(())) {
            self.is_broken_off.store(true, Ordering::Release);
            self.meter.wake_exchange();
        }
    }
}

/// What comes after a head.
enum Next {
    /// The connection belongs to somebody else.
    Upgraded,
    /// Nothing.
    Ended,
    /// A body.
    Body,
}

fn look_at_head(
    plan: &Plan,
    lease: &mut Lease,
    upload: Option<&Progress>,
    response: &mut Response<Incoming>,
) -> Next {
    let (is_http1, method) = (lease.conn.is_http1(), plan.method());
    if let Some(trace) = plan.trace.as_ref().filter(|_| !is_http1) {
        trace.got_first_response_byte();
    }
    let is_tunnel = *method == Method::CONNECT && response.status().is_success();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || (is_tunnel && is_http1) {
        return Next::Upgraded;
    }
    response.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    if *method == Method::CONNECT && is_http1 {
        // Whoever refuses a tunnel may take for requests what was meant for the other end of it.
        lease.end_with_this();
    }
    // A body that still waits for leave is sent if the connection goes on, for the server expects it then.
    if let Some(upload) = upload.filter(|upload| upload.is_held())
        && !says_close(response.version(), response.headers())
    {
        upload.allow();
    }
    if response.body().is_end_stream() { Next::Ended } else { Next::Body }
}

/// A time that begins to run when it is first asked for.
struct Timer {
    limit: std::time::Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.sleep.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx)
    }
}

/// Everything that may end the wait for a head besides the head.
struct Watch<'a> {
    meter: &'a Meter,
    is_http1: bool,
    mark: Mark,
    upload: Option<&'a Progress>,
    /// HTTP/2 alone: of HTTP/1 the meter tells.
    trace: Option<&'a dyn Trace>,
    is_broken_off: Option<&'a AtomicBool>,
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    hold: Option<Timer>,
    header: Option<Timer>,
    /// Whether anything that the meter sees is waited for.
    is_told: bool,
    is_written: bool,
}

impl Watch<'_> {
    async fn until_head(
        &mut self,
        mut sent: Pin<&mut impl Future<Output = Sent>>,
    ) -> Result<Response<Incoming>, Why> {
        poll_fn(|cx| {
            if let Poll::Ready(result) = sent.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(|mut sent| {
                    let is_unsent = sent.take_message().is_some();
                    Why::Failed { error: sent.into_error(), is_unsent }
                }));
            }
            self.poll(cx).map(|error| Err(Why::Ended(error)))
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if self.is_told {
            self.meter.watch(cx);
        }
        if let Some(upload) = self.upload {
            upload.watch(cx);
        }
        if self.cancelled.as_mut().is_some_and(|token| token.as_mut().poll(cx).is_ready())
            || self.is_broken_off.is_some_and(|is_broken_off| is_broken_off.load(Ordering::Acquire))
        {
            return Poll::Ready(Error::new(ErrorKind::Cancelled));
        }
        if !self.is_http1 {
            return self.poll_header_timeout(self.upload.is_none_or(Progress::has_ended), cx);
        }
        let has_head_left = self.meter.has_sent_since(self.mark) && !self.meter.is_write_blocked();
        if has_head_left
            && let Some(hold) = &mut self.hold
            && let Some(upload) = self.upload.filter(|upload| upload.is_held())
            && hold.poll(cx).is_ready()
        {
            upload.allow();
        }
        let is_written = has_head_left && self.upload.is_none_or(Progress::has_ended);
        self.poll_header_timeout(is_written, cx)
    }

    /// HTTP/2: tells the trace, once, that the request is written, if it is.
    fn tell_written(&mut self) {
        if let Some(trace) = self.trace
            && self.upload.is_none_or(Progress::has_ended)
            && !std::mem::replace(&mut self.is_written, true)
        {
            trace.wrote_request(Ok(()));
        }
    }

    fn poll_header_timeout(&mut self, is_written: bool, cx: &mut Context<'_>) -> Poll<Error> {
        if is_written {
            self.tell_written();
        }
        match &mut self.header {
            Some(timer) if is_written => timer.poll(cx).map(|()| Error::timeout(TimeoutKind::ResponseHeader)),
            _ => Poll::Pending,
        }
    }
}
