//! hyper's connections without any pool: what HTTP itself costs.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::{Client, Session, check};
use crate::http::{Protocol, Target};

/// One HTTP/1 connection for each task; one HTTP/2 connection for all of them.
#[derive(Debug)]
pub struct Hyper {
    uri: Uri,
    host: HeaderValue,
    protocol: Protocol,
    tls: Option<Arc<ClientConfig>>,
    shared: OnceCell<http2::SendRequest<Empty<Bytes>>>,
}

/// The sender of a task.
#[derive(Debug)]
pub enum HyperSession {
    /// Its own connection.
    Http1 {
        /// Of the connection.
        sender: http1::SendRequest<Empty<Bytes>>,
        /// The server, for the head of each request.
        host: HeaderValue,
    },
    /// A share of the one connection.
    Http2 {
        /// Of the connection.
        sender: http2::SendRequest<Empty<Bytes>>,
        /// What is asked for.
        uri: Uri,
    },
}

impl Hyper {
    /// A client for this target.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read, or the target has no host.
    pub fn new(target: &Target) -> Result<Self> {
        let authority = target.target.authority().context("the target has no host")?;
        let is_secure = target.target.scheme_str() == Some("https");
        Ok(Self {
            host: HeaderValue::from_str(authority.as_str())?,
            uri: target.target.clone(),
            protocol: target.protocol,
            tls: if is_secure { Some(target.tls()?) } else { None },
            shared: OnceCell::new(),
        })
    }

    async fn open(&self) -> Result<HyperSession> {
        let host = self.uri.host().context("the target has no host")?;
        let tcp = TcpStream::connect((host, self.uri.port_u16().context("the target has no port")?)).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => self.handshake(tcp).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned())?;
                self.handshake(TlsConnector::from(tls.clone()).connect(name, tcp).await?).await
            }
        }
    }

    async fn handshake<I>(&self, io: I) -> Result<HyperSession>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(io);
        // What breaks a connection shows in the requests that it loses.
        Ok(match self.protocol {
            Protocol::H1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                HyperSession::Http1 { sender, host: self.host.clone() }
            }
            Protocol::H2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                HyperSession::Http2 { sender, uri: self.uri.clone() }
            }
        })
    }
}

impl Client for Arc<Hyper> {
    type Session = HyperSession;

    async fn session(&self) -> Result<HyperSession> {
        if self.protocol == Protocol::H1 {
            return self.open().await;
        }
        let first = async || match self.open().await? {
            HyperSession::Http2 { sender, .. } => Ok(sender),
            HyperSession::Http1 { .. } => Err(anyhow::anyhow!("HTTP/2 was asked for")),
        };
        let sender = self.shared.get_or_try_init(first).await?.clone();
        Ok(HyperSession::Http2 { sender, uri: self.uri.clone() })
    }
}

impl Session for HyperSession {
    async fn get(&mut self) -> Result<Bytes> {
        let response = match self {
            Self::Http1 { sender, host } => {
                sender.ready().await?;
                let request = Request::get("/").header(HOST, host.clone()).body(Empty::new())?;
                sender.send_request(request).await?
            }
            Self::Http2 { sender, uri } => {
                sender.ready().await?;
                let request = Request::get(uri.clone()).body(Empty::new())?;
                sender.send_request(request).await?
            }
        };
        check(response.status())?;
        Ok(response.into_body().collect().await?.to_bytes())
    }
}
