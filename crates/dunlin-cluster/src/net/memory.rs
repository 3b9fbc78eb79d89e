//! Nodes inside one process: pipes instead of sockets, which can be cut, and time that can be paused.
//!
//! Invariant: what is cut loses bytes or ends as a network does: a cut link stands still, as with a cable that was pulled, until its ends give
//! it up; an address nobody listens on refuses.

use std::collections::{HashMap, HashSet};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;

use super::{Io, Listening, Network};

/// Bytes that a pipe holds in each direction.
const PIPE_LEN: usize = 256 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: usize = 64;

/// A network inside the process. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryNetwork(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    listeners: HashMap<String, mpsc::Sender<Pipe>>,
    next_port: u32,
    /// Directed: bytes from the first to the second do not arrive.
    cut: HashSet<(String, String)>,
    /// Who waits for a cut to end.
    waiting: Vec<Waker>,
    /// The names of nodes by the addresses they listen on.
    names: HashMap<String, String>,
}

impl MemoryNetwork {
    /// A network without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of a node of this name, to listen on.
    #[must_use]
    pub fn addr_of(&self, name: &str) -> String {
        let mut inner = self.lock();
        inner.next_port += 1;
        let addr = format!("{name}.memory:{}", inner.next_port);
        inner.names.insert(addr.clone(), name.to_owned());
        addr
    }

    /// Nothing of what one node sends arrives at the other any more.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        self.lock().cut.insert((from.to_owned(), to.to_owned()));
    }

    /// Nothing of what either sends arrives at the other any more.
    pub fn cut(&self, one: &str, other: &str) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Everything arrives again, also what was sent meanwhile.
    pub fn heal(&self) {
        let waiting = {
            let mut inner = self.lock();
            inner.cut.clear();
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether bytes arrive; if not, `waker` is woken when they may.
    fn is_cut(&self, from: &str, to: &str, waker: &Waker) -> bool {
        let mut inner = self.lock();
        let is_cut = inner.cut.contains(&(from.to_owned(), to.to_owned()));
        if is_cut {
            inner.waiting.push(waker.clone());
        }
        is_cut
    }
}

impl Network for MemoryNetwork {
    fn listen(&self, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Listening>>> {
        let (tell, connections) = mpsc::channel(BACKLOG);
        let addr = addr.to_owned();
        let mut inner = self.lock();
        let listened = match inner.listeners.get(&addr) {
            Some(listener) if !listener.is_closed() => Err(io::ErrorKind::AddrInUse.into()),
            _ => {
                inner.listeners.insert(addr.clone(), tell);
                Ok(Box::new(MemoryListener { addr, connections }) as Box<dyn Listening>)
            }
        };
        Box::pin(std::future::ready(listened))
    }

    fn dial(&self, from: &str, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Io>>> {
        let (from, addr) = (from.to_owned(), addr.to_owned());
        Box::pin(async move {
            let (listener, to) = {
                let inner = self.lock();
                let listener = inner.listeners.get(&addr).cloned();
                (listener, inner.names.get(&addr).cloned().unwrap_or_else(|| addr.clone()))
            };
            let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
            // No word of it arrives, and none comes back.
            std::future::poll_fn(|cx| {
                let is_cut = self.is_cut(&from, &to, cx.waker()) || self.is_cut(&to, &from, cx.waker());
                if is_cut { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            let (near, far) = duplex(PIPE_LEN);
            let pipe = |stream, peer: &str, me: &str| Pipe {
                stream,
                network: self.clone(),
                peer: peer.to_owned(),
                me: me.to_owned(),
            };
            let accepted = listener.send(pipe(far, &from, &to)).await;
            accepted.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(pipe(near, &to, &from)) as Box<dyn Io>)
        })
    }
}

struct MemoryListener {
    addr: String,
    connections: mpsc::Receiver<Pipe>,
}

impl Listening for MemoryListener {
    fn addr(&self) -> String {
        self.addr.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Io>>> {
        Box::pin(async {
            let pipe = self.connections.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(Box::new(pipe) as Box<dyn Io>)
        })
    }
}

/// One end of a connection. What its peer sent is not read while it is cut.
#[derive(Debug)]
struct Pipe {
    stream: DuplexStream,
    network: MemoryNetwork,
    peer: String,
    me: String,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.network.is_cut(&self.peer, &self.me, cx.waker()) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_over_a_cut_link_arrives_when_it_is_healed_and_the_other_way_is_not_cut() {
        let network = MemoryNetwork::new();
        let addr = network.addr_of("far");
        let mut listening = network.listen(&addr).await.unwrap();
        let mut near = network.dial("near", &addr).await.unwrap();
        let mut far = listening.accept().await.unwrap();
        network.cut_one_way("near", "far");
        near.write_all(b"lost?").await.unwrap();
        far.write_all(b"heard").await.unwrap();
        let mut heard = [0; 5];
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"heard");
        assert!(timeout(Duration::from_secs(60), far.read_exact(&mut heard)).await.is_err());
        network.heal();
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"lost?");
    }

    #[tokio::test]
    async fn an_address_that_nobody_listens_on_any_more_refuses() {
        let network = MemoryNetwork::new();
        let addr = network.addr_of("far");
        drop(network.listen(&addr).await.unwrap());
        let refused = network.dial("near", &addr).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        network.listen(&addr).await.unwrap();
    }
}
