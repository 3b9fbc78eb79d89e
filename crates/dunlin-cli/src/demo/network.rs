//! TCP between the nodes, of which single links can be cut, as a cable is: what is sent stays where it is, and nobody is told.
//!
//! Every connection has one end that dialed it, and both ends are in this process; so that end alone looks whether the link
//! is cut, for both directions. Raft's connections do not go this way: the lab cuts them at their transports.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use dunlin::{Io, Listening, Network, TcpNetwork};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The network of the nodes. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct CutNetwork(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// The names of nodes by their addresses.
    names: HashMap<String, String>,
    /// Ports that are kept for nodes which have not started yet.
    kept: HashMap<String, TcpListener>,
    /// Links that are cut, by the names of their ends in order.
    cut: HashSet<(String, String)>,
    /// Who waits for a link to be mended.
    waiting: Vec<Waker>,
}

fn link(one: &str, other: &str) -> (String, String) {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    (first.to_owned(), second.to_owned())
}

impl CutNetwork {
    /// Gives a node an address, at a port of the kernel's choice that is kept until the node listens there.
    ///
    /// # Errors
    ///
    /// When the kernel has no port.
    pub(super) fn keep_addr(&self, name: &str) -> io::Result<String> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let addr = listener.local_addr()?.to_string();
        let mut inner = self.lock();
        inner.names.insert(addr.clone(), name.to_owned());
        inner.kept.insert(addr.clone(), listener);
        Ok(addr)
    }

    /// From now on nothing passes between the two.
    pub(super) fn cut(&self, one: &str, other: &str) {
        self.lock().cut.insert(link(one, other));
    }

    /// Everything passes again, also what waited.
    pub(super) fn mend(&self, one: &str, other: &str) {
        let waiting = {
            let mut inner = self.lock();
            inner.cut.remove(&link(one, other));
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_cut(&self, one: &str, other: &str) -> bool {
        self.lock().cut.contains(&link(one, other))
    }

    /// Ready when the link is not cut.
    fn poll_mended(&self, link: &(String, String), cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if !inner.cut.contains(link) {
            return Poll::Ready(());
        }
        if !inner.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for CutNetwork {
    fn listen(&self, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Listening>>> {
        // From here on the port is the node's own.
        drop(self.lock().kept.remove(addr));
        TcpNetwork.listen(addr)
    }

    fn dial(&self, from: &str, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Io>>> {
        let to = self.lock().names.get(addr).cloned().unwrap_or_default();
        let (link, addr) = (link(from, &to), addr.to_owned());
        Box::pin(async move {
            std::future::poll_fn(|cx| self.poll_mended(&link, cx)).await;
            let io = TcpNetwork.dial("", &addr).await?;
            Ok(Box::new(Dialed { io, network: self.clone(), link }) as Box<dyn Io>)
        })
    }
}

/// The end of a connection that dialed it.
struct Dialed {
    io: Box<dyn Io>,
    network: CutNetwork,
    link: (String, String),
}

impl Dialed {
    fn poll_mended(&self, cx: &Context<'_>) -> Poll<()> {
        self.network.poll_mended(&self.link, cx)
    }
}

impl AsyncRead for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_mended(cx));
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_mended(cx));
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_over_a_cut_link_arrives_when_it_is_mended_and_not_before() {
        let network = CutNetwork::default();
        let addr = network.keep_addr("far").unwrap();
        let mut listening = network.listen(&addr).await.unwrap();
        let mut near = network.dial("near", &addr).await.unwrap();
        let mut far = listening.accept().await.unwrap();
        network.cut("far", "near");
        far.write_all(b"heard").await.unwrap();
        let mut heard = [0; 5];
        assert!(timeout(Duration::from_millis(50), near.read_exact(&mut heard)).await.is_err());
        assert!(timeout(Duration::from_millis(50), network.dial("near", &addr)).await.is_err());
        network.mend("near", "far");
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"heard");
    }

    #[tokio::test]
    async fn a_cut_harms_no_other_link() {
        let network = CutNetwork::default();
        let addr = network.keep_addr("far").unwrap();
        let _listening = network.listen(&addr).await.unwrap();
        network.cut("far", "near");
        assert!(timeout(Duration::from_secs(10), network.dial("third", &addr)).await.unwrap().is_ok());
    }
}
