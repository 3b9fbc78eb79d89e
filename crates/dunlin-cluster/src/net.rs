//! How nodes reach each other: over sockets, or inside the process for tests.

use std::fmt;
use std::io;
use std::sync::Arc;

use dunlin_registry::grpc::LateFlush;
use dunlin_registry::limits::KEEP_ALIVE;
use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::limits::{HELLO_TIMEOUT, WINDOW_LEN};
use crate::tls::Tls;

mod memory;
mod tcp;

pub use self::memory::MemoryNetwork;
pub use self::tcp::TcpNetwork;

/// What two nodes talk over.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A way to other nodes: the network, and what makes it secret.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) tls: Option<Tls>,
    /// The name of this node.
    pub(crate) from: String,
}

impl Way {
    /// Connects to a URL, or to `host:port`.
    pub(crate) async fn dial(&self, url: &str) -> io::Result<Box<dyn Io>> {
        let addr = url.split_once("://").map_or(url, |(_, addr)| addr).trim_end_matches('/');
        let io = self.network.dial(&self.from, addr).await?;
        match &self.tls {
            Some(tls) => tls.connect(io).await,
            None => Ok(io),
        }
    }

    /// Connects to a URL and speaks HTTP/2 there.
    pub(crate) async fn channel(&self, url: &str) -> Result<Channel, tonic::transport::Error> {
        let (way, url) = (self.clone(), url.to_owned());
        endpoint()
            .connect_with_connector(tower::service_fn(move |_: Uri| way.clone().connect(url.clone())))
            .await
    }

    /// The same for requests that are asked one by one, as soon as there is one, and again whenever it broke.
    pub(crate) fn lazy_channel(&self, url: &str) -> Channel {
        let (way, url) = (self.clone(), url.to_owned());
        let connector = tower::service_fn(move |_: Uri| {
            let (way, url) = (way.clone(), url.clone());
            async move { Ok::<_, io::Error>(TokioIo::new(LateFlush::new(way.dial(&url).await?))) }
        });
        endpoint()
            .connect_timeout(HELLO_TIMEOUT)
            // A watch says nothing for long, and must not wait for a node that vanished without a word.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .connect_with_connector_lazy(connector)
    }

    async fn connect(self, url: String) -> io::Result<TokioIo<Box<dyn Io>>> {
        Ok(TokioIo::new(self.dial(&url).await?))
    }
}

fn endpoint() -> Endpoint {
    Endpoint::from_static("http://node")
        .initial_stream_window_size(WINDOW_LEN)
        .initial_connection_window_size(WINDOW_LEN)
}

/// How nodes reach each other.
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// Listens on `host:port`.
    ///
    /// # Errors
    ///
    /// When it cannot.
    fn listen(&self, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Listening>>>;

    /// Connects from one node, of this name, to `host:port`.
    ///
    /// # Errors
    ///
    /// When nobody is there.
    fn dial(&self, from: &str, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Io>>>;
}

/// An address that is listened on.
pub trait Listening: Send + 'static {
    /// The address, as `host:port`.
    fn addr(&self) -> String;

    /// The next connection.
    ///
    /// # Errors
    ///
    /// When there is none; there may be later.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Io>>>;
}
