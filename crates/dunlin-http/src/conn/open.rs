//! From a socket to a connection that takes requests: hyper's handshake, and the task that runs it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Poll, Waker};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::timeout;

use super::io::{MeteredIo, Slot};
use super::{Conn, Home, Sender};
use crate::body::Upload;
use crate::config::{Protocol, Settings};
use crate::dial::BoxIo;
use crate::error::{Error, kind_of};
use crate::limits::{GOODBYE_TIMEOUT, HTTP2_STREAMS_BEFORE_SETTINGS};
use crate::stats::CloseCause;

/// The buffer of an HTTP/1 connection, beyond the longest head: what a chunk of a body may take of it.
const READ_BUF_LEN_MIN: usize = 64 * 1024;

/// Opens HTTP on a socket. The task of the connection runs on the runtime that this is called on.
pub(crate) async fn open(
    io: BoxIo,
    conn: &Arc<Conn>,
    home: Weak<dyn Home>,
    settings: &Settings,
) -> Result<Sender, Error> {
    let slot = Slot::new(conn.clone(), home.clone());
    let is_http1 = conn.info.protocol == Protocol::Http1;
    let io = TokioIo::new(MeteredIo::new(io, slot, is_http1));
    let opened = if is_http1 {
        open_http1(io, conn, settings).await
    } else {
        open_http2(io, (conn, home), settings).await
    };
    opened.map_err(|error| Error::from_hyper(error).to(&conn.info.key))
}

/// Bytes that an HTTP/1 connection may have read without having parsed them.
pub(crate) fn read_buf_len_max(settings: &Settings) -> usize {
    settings.max_response_header_bytes.saturating_add(READ_BUF_LEN_MIN)
}

async fn open_http1(
    io: TokioIo<MeteredIo>,
    conn: &Arc<Conn>,
    settings: &Settings,
) -> Result<Sender, hyper::Error> {
    let mut builder = http1::Builder::new();
    builder.max_header_size(settings.max_response_header_bytes).max_buf_size(read_buf_len_max(settings));
    if let Some(max) = settings.max_response_headers {
        builder.max_headers(max.get());
    }
    let (sender, connection) = builder.handshake::<_, Upload>(io).await?;
    let ending = conn.clone();
    let task = async move {
        // The socket is in here until the end of this block, so the cause is known before its slot is free.
        let mut connection = pin!(connection.with_upgrades());
        if let Some(result) = run(&ending, connection.as_mut()).await {
            ended(&ending, &result);
        }
    };
    spawn(conn, task);
    Ok(Sender::Http1(sender))
}

async fn open_http2(
    io: TokioIo<MeteredIo>,
    (conn, home): (&Arc<Conn>, Weak<dyn Home>),
    settings: &Settings,
) -> Result<Sender, hyper::Error> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).initial_max_send_streams(HTTP2_STREAMS_BEFORE_SETTINGS);
    builder.max_header_list_size(u32::try_from(settings.max_response_header_bytes).unwrap_or(u32::MAX));
    if let Some(ping) = settings.http2_ping {
        builder.keep_alive_interval(ping.interval).keep_alive_timeout(ping.timeout);
        builder.keep_alive_while_idle(true);
    }
    let (sender, connection) = builder.handshake::<_, Upload>(io).await?;
    let ending = conn.clone();
    let running = async move {
        let mut connection = pin!(connection);
        let leaving = home.clone();
        let mut streams_max = HTTP2_STREAMS_BEFORE_SETTINGS;
        let connection = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            let now_max = connection.current_max_send_streams();
            if now_max != std::mem::replace(&mut streams_max, now_max)
                && let Some(home) = home.upgrade()
            {
                home.streams_changed(&ending, now_max);
            }
            polled
        });
        if let Some(result) = run(&ending, pin!(connection)).await {
            ended(&ending, &result);
        }
        // After a goodbye the socket lives on with the streams that are left, in a task of hyper's own.
        if let Some(home) = leaving.upgrade() {
            home.retired(&ending);
        }
        ending
    };
    let task = async move {
        // hyper's end of the connection is dropped by here.
        let ending = running.await;
        linger(&ending).await;
    };
    spawn(conn, task);
    Ok(Sender::Http2(sender))
}

/// Waits for the socket of an HTTP/2 connection, which is in a task of hyper's: streams may go on after the peer's
/// goodbye, but nothing goes on long after ours, even if the peer has stopped reading.
async fn linger(conn: &Conn) {
    while conn.cause().is_none() && !conn.is_gone() {
        conn.closing.notified().await;
    }
    let gone = async {
        while !conn.is_gone() {
            conn.closing.notified().await;
        }
    };
    if timeout(GOODBYE_TIMEOUT, gone).await.is_err() {
        conn.meter.kill();
    }
}

/// Runs a connection until it ends, or until a while after it was asked to.
async fn run(
    conn: &Conn,
    mut connection: Pin<&mut impl Future<Output = Result<(), hyper::Error>>>,
) -> Option<Result<(), hyper::Error>> {
    let mut closing = pin!(conn.closing.notified());
    let mut woken: Option<Waker> = None;
    let ended = poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        // To be told of the end takes a lock, and each request comes by here, so it is asked for once.
        let is_told = woken.as_ref().is_some_and(|woken| woken.will_wake(cx.waker()));
        if is_told && !conn.is_closing.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        woken = Some(cx.waker().clone());
        closing.as_mut().poll(cx).map(|()| None)
    });
    if let Some(result) = ended.await {
        return Some(result);
    }
    // Its senders are gone, so hyper ends it: TLS and HTTP/2 tell the peer. A peer that does not listen is not waited for.
    timeout(GOODBYE_TIMEOUT, connection).await.ok()
}

fn spawn(conn: &Conn, task: impl Future<Output = ()> + Send + 'static) {
    let task = tokio::spawn(task);
    // Set once: a connection is opened once.
    conn.task.set(task.abort_handle()).ok();
}

fn ended(conn: &Conn, result: &Result<(), hyper::Error>) {
    let Err(error) = result else {
        let is_own_end = conn.is_http1() && !conn.meter.has_read_end();
        conn.has_ended_itself.store(is_own_end, Ordering::Release);
        return;
    };
    tracing::debug!(target: "dunlin_http::conn", conn = conn.info.id, key = %conn.info.key, %error, "connection failed");
    if kind_of(error).is_timeout() {
        conn.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(CloseCause::Timeout);
    }
}
