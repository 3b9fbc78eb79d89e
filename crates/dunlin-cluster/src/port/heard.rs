//! How much was heard on a connection: strangers that connect and say nothing may not keep a place for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Io;

/// Bytes by which it is known what the other side speaks: the preface of HTTP/2. Until then no time of HTTP runs.
pub(super) const FIRST_WORDS_LEN: usize = 24;

/// A connection that counts what is read from it.
pub(super) struct Heard {
    io: Box<dyn Io>,
    len: Arc<AtomicUsize>,
}

impl Heard {
    /// The connection, and the count of bytes that were read.
    pub(super) fn new(io: Box<dyn Io>) -> (Self, Arc<AtomicUsize>) {
        let len = Arc::new(AtomicUsize::new(0));
        (Self { io, len: len.clone() }, len)
    }
}

impl AsyncRead for Heard {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.len.fetch_add(buf.filled().len() - before, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
