//! A socket whose reads and writes have deadlines, each counted from when it began to wait.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::{BoxIo, Io};
use crate::error::{IoDeadline, TimeoutKind};

/// A byte stream whose reads and writes fail when they had to wait for too long: with [`io::ErrorKind::TimedOut`].
///
/// A read waits also while nothing is expected, such as on an idle connection. For servers give no limit to reads.
pub struct DeadlineIo {
    io: BoxIo,
    read: Deadline,
    write: Deadline,
}

impl DeadlineIo {
    /// With a limit to each read and to each write.
    pub fn new(io: impl Io, read: Option<Duration>, write: Option<Duration>) -> Self {
        Self {
            io: Box::new(io),
            read: Deadline::new(read, TimeoutKind::Read),
            write: Deadline::new(write, TimeoutKind::Write),
        }
    }
}

/// The deadline of one direction. The timer is made once and moved.
struct Deadline {
    timeout: Option<Duration>,
    kind: TimeoutKind,
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl Deadline {
    const fn new(timeout: Option<Duration>, kind: TimeoutKind) -> Self {
        Self { timeout, kind, timer: None, is_waiting: false }
    }

    /// What an operation gave, or that it has waited for too long.
    fn bound<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(timeout) = self.timeout else { return polled };
        if polled.is_ready() {
            self.is_waiting = false;
            return polled;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if !std::mem::replace(&mut self.is_waiting, true) {
            timer.as_mut().reset(Instant::now() + timeout);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.is_waiting = false;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, IoDeadline(self.kind))))
    }
}

impl AsyncRead for DeadlineIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        self.read.bound(cx, polled)
    }
}

impl AsyncWrite for DeadlineIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.write.bound(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.write.bound(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.write.bound(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.write.bound(cx, polled)
    }
}

impl std::fmt::Debug for DeadlineIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadlineIo")
            .field("read", &self.read.timeout)
            .field("write", &self.write.timeout)
            .finish_non_exhaustive()
    }
}
