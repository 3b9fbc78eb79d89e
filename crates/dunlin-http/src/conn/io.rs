//! The socket of a connection: counted, closable from outside, and holding its slot in the pool until it is dropped.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::meter::Meter;
use super::{Conn, Home};
use crate::dial::BoxIo;
use crate::error::HeadTooLong;
use crate::limits::ANSWER_GRACE;

/// Gives the slot back when the socket is closed, whoever closed it: the end of the connection's task, its abort, the
/// end of the runtime, or the owner of an upgraded connection.
#[derive(Debug)]
pub(crate) struct Slot {
    conn: Arc<Conn>,
    home: Weak<dyn Home>,
}

impl Slot {
    pub(crate) fn new(conn: Arc<Conn>, home: Weak<dyn Home>) -> Self {
        Self { conn, home }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.conn.is_gone.store(true, Ordering::Release);
        self.conn.closing.notify_one();
        if let Some(home) = self.home.upgrade() {
            home.closed(&self.conn);
        }
    }
}

/// The socket as hyper gets it.
pub(crate) struct MeteredIo {
    // The socket is closed before its slot is free: fields are dropped in order.
    io: BoxIo,
    meter: Arc<Meter>,
    /// A write that fails must not hide the response that a peer sent before it closed. HTTP/2 has no use for that.
    outlives_writes: bool,
    /// Until when an answer is awaited after a write failed.
    answer: Option<Pin<Box<Sleep>>>,
    /// What was written since the last flush.
    has_written: bool,
    _slot: Slot,
}

impl MeteredIo {
    pub(crate) fn new(io: BoxIo, slot: Slot, outlives_writes: bool) -> Self {
        let meter = slot.conn.meter.clone();
        Self { io, meter, outlives_writes, answer: None, has_written: false, _slot: slot }
    }

    fn wrote(&mut self, cx: &mut Context<'_>, result: io::Result<usize>) -> Poll<io::Result<usize>> {
        match result {
            Ok(len) => {
                self.has_written |= len > 0;
                self.meter.wrote(len as u64);
                Poll::Ready(Ok(len))
            }
            Err(error) if self.outlives_writes && !self.meter.is_upgraded() => {
                self.meter.watch_for_kill(cx);
                self.meter.write_broke(error);
                let answer = self.answer.insert(Box::pin(sleep(ANSWER_GRACE)));
                // It is looked at when something is read, which this poll makes happen in its time.
                answer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::BrokenPipe.into()))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Whether a write failed and no answer to what was written came in its time.
    fn has_no_answer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(answer) = &mut self.answer else { return false };
        answer.as_mut().poll(cx).is_ready() && self.meter.awaits_head()
    }
}

fn killed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed by its owner")
}

impl AsyncRead for MeteredIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (before, has_room) = (buf.filled().len(), buf.remaining() > 0);
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        // The task of HTTP/1 is aborted, which drops this socket; other owners have to be woken to see that it is over.
        if polled.is_pending() && (!this.outlives_writes || this.meter.is_upgraded()) {
            this.meter.watch_for_kill(cx);
        }
        if this.meter.is_killed() {
            return Poll::Ready(Err(killed()));
        }
        if polled.is_pending() && this.has_no_answer(cx) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(polled)?;
        let len = buf.filled().len() - before;
        if len > 0 {
            if !this.meter.read(len as u64) {
                return Poll::Ready(Err(io::Error::other(HeadTooLong)));
            }
        } else if has_room {
            this.meter.read_end();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MeteredIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.meter.is_killed() {
            return Poll::Ready(Err(killed()));
        }
        if this.meter.is_write_broken() {
            this.meter.watch_for_kill(cx);
            return Poll::Pending;
        }
        let io = Pin::new(&mut this.io);
        // One piece by itself costs a socket less than a list of one.
        let polled = match bufs {
            [only] => io.poll_write(cx, only),
            _ => io.poll_write_vectored(cx, bufs),
        };
        match polled {
            Poll::Ready(result) => this.wrote(cx, result),
            Poll::Pending => {
                this.meter.write_blocked();
                Poll::Pending
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.meter.is_write_broken() {
            this.meter.watch_for_kill(cx);
            return Poll::Pending;
        }
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        if std::mem::replace(&mut this.has_written, false) {
            this.meter.flushed();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
