//! A request, and an answer, in one write instead of two.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};

/// What either side of HTTP/2 writes to: a flush lets the other tasks have their turn first.
///
/// hyper's client writes and flushes the head of a request, and hears of its body, which is there already, when the task after that
/// has had its turn; its server flushes a message before the trailers. With this they leave together, as does what else is said on
/// the same connection in the same moment. It costs one more turn, and saves a write and the other side a wake-up: more than a third
/// of what a small request costs both.
#[derive(Debug)]
pub struct LateFlush<T> {
    io: BufWriter<T>,
    /// Whether a flush was asked for, and waits.
    is_due: bool,
}

impl<T: AsyncWrite> LateFlush<T> {
    /// What is written goes to `io`, 8 KiB at a time or when a flush had its turn.
    pub fn new(io: T) -> Self {
        Self { io: BufWriter::new(io), is_due: false }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for LateFlush<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LateFlush<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    // It takes no pieces: where it does, hyper flushes after each frame of more than 255 bytes, and else after one of more than 1,023.

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.io.buffer().is_empty() && !std::mem::replace(&mut self.is_due, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.is_due = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn pair() -> (LateFlush<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(64);
        (LateFlush::new(near), far)
    }

    #[tokio::test]
    async fn what_is_written_before_a_flush_had_its_turn_leaves_with_it() {
        let (mut near, mut far) = pair();
        let mut heard = [0; 64];
        near.write_all(b"head").await.unwrap();
        assert!(poll!(std::pin::pin!(near.flush())).is_pending(), "the others have their turn");
        near.write_all(b" and body").await.unwrap();
        assert!(poll!(std::pin::pin!(far.read(&mut heard))).is_pending(), "nothing has left");
        near.flush().await.unwrap();
        assert_eq!(far.read(&mut heard).await.unwrap(), 13);
    }

    #[tokio::test]
    async fn a_flush_that_waits_has_itself_woken_and_the_next_one_waits_again() {
        let (mut near, mut far) = pair();
        let mut heard = [0; 64];
        for word in [b"one", b"two"] {
            near.write_all(word).await.unwrap();
            assert!(poll!(std::pin::pin!(near.flush())).is_pending());
            near.flush().await.unwrap();
            assert_eq!(far.read(&mut heard).await.unwrap(), 3);
        }
        assert!(poll!(std::pin::pin!(near.flush())).is_ready(), "there is nothing to wait for");
    }

    #[tokio::test]
    async fn the_end_waits_for_nobody() {
        let (mut near, mut far) = pair();
        near.write_all(b"last words").await.unwrap();
        assert!(poll!(std::pin::pin!(near.shutdown())).is_ready());
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last words");
    }
}
