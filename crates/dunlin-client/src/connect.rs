//! From an address to an open connection: name, TCP, TLS, WebSocket upgrade. The handshake comes after, in [`crate::connection`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dunlin_wire::ClientConfig;
use dunlin_wire::ws::{HEAD_LEN_MAX, UpgradeRequest, encode_request, parse_response, websocket_key};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::connection::Connection;
use crate::error::ConnectError;
use crate::link::{Io, Link};
use crate::url::Address;

/// All that is needed to connect, again and again.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) address: Address,
    /// `None` where the address wants no TLS.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) origin: Option<String>,
    pub(crate) protocol: ClientConfig,
    pub(crate) timeout: Duration,
    /// How many bytes are read at once.
    pub(crate) read_len: usize,
}

impl Connector {
    /// Connects and shakes hands, within the time allowed for both together.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping it closes the socket.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        self.within_timeout(async {
            let tcp = self.open_tcp().await?;
            match &self.tls {
                None => self.open(Box::new(tcp)).await,
                Some(config) => self.open(Box::new(self.open_tls(tcp, config).await?)).await,
            }
        })
        .await
    }

    /// As [`Connector::connect`], over a stream that is open already; TLS is the stream's own affair.
    pub(crate) async fn connect_over(&self, io: Box<dyn Io>) -> Result<Connection, ConnectError> {
        self.within_timeout(self.open(io)).await
    }

    async fn within_timeout(
        &self,
        connecting: impl Future<Output = Result<Connection, ConnectError>>,
    ) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + self.timeout;
        let timed_out = |_| Err(ConnectError::TimedOut { timeout: self.timeout });
        tokio::time::timeout_at(deadline, connecting).await.unwrap_or_else(timed_out)
    }

    async fn open_tcp(&self) -> Result<TcpStream, ConnectError> {
        let Address { host, port, .. } = &self.address;
        let tcp = async {
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            // Small messages must not wait for the acknowledgement of those before.
            tcp.set_nodelay(true)?;
            Ok(tcp)
        };
        tcp.await.map_err(|source| ConnectError::Tcp { host: host.clone(), port: *port, source })
    }

    async fn open_tls(
        &self,
        tcp: TcpStream,
        config: &Arc<rustls::ClientConfig>,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ConnectError> {
        let host = || self.address.host.clone();
        let name = ServerName::try_from(host()).map_err(|_| ConnectError::TlsName { host: host() })?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        connecting.await.map_err(|source| ConnectError::Tls { host: host(), source })
    }

    async fn open(&self, mut io: Box<dyn Io>) -> Result<Connection, ConnectError> {
        let mut received = Vec::new();
        if self.address.is_websocket {
            received = self.upgrade(&mut io).await?;
        }
        let link = Link::new(io, self.address.is_websocket, &received, self.read_len);
        Connection::establish(link, self.protocol.clone()).await
    }

    /// Turns the stream into a WebSocket, and gives what came behind the answer.
    async fn upgrade(&self, io: &mut Box<dyn Io>) -> Result<Vec<u8>, ConnectError> {
        let key = websocket_key(fastrand::u128(..).to_ne_bytes());
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = UpgradeRequest {
            host: &self.address.host_header(),
            path: &self.address.path,
            key: &key,
            origin: self.origin.as_deref(),
            headers: &headers,
        };
        let mut bytes = Vec::new();
        encode_request(&request, &mut bytes).map_err(ConnectError::UpgradeRequest)?;
        io.write_all(&bytes).await.map_err(ConnectError::Lost)?;
        io.flush().await.map_err(ConnectError::Lost)?;
        bytes.clear();
        loop {
            // Bounded: the parser refuses a head that has not ended within HEAD_LEN_MAX.
            bytes.reserve(HEAD_LEN_MAX / 4);
            let len = io.read_buf(&mut bytes).await.map_err(ConnectError::Lost)?;
            if len == 0 {
                return Err(ConnectError::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some((head, head_len)) = parse_response(&bytes).map_err(ConnectError::UpgradeHttp)? {
                head.check_response(&key).map_err(ConnectError::Upgrade)?;
                bytes.drain(..head_len);
                return Ok(bytes);
            }
        }
    }
}
