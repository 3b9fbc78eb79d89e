//! The server of the wave: it waits a moment, then answers with how many connections it has accepted.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::{CertificateFiles, Protocol};

/// How it serves.
#[derive(Clone)]
pub struct WaveServer {
    protocol: Protocol,
    tls: Option<TlsAcceptor>,
    delay: Duration,
    accepted: Arc<AtomicUsize>,
}

impl WaveServer {
    /// A server that takes `delay` for each answer; with TLS if it has a certificate.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be read.
    pub fn new(protocol: Protocol, files: Option<&CertificateFiles>, delay: Duration) -> Result<Self> {
        let config = files.map(|files| files.server(protocol)).transpose()?;
        Ok(Self { protocol, tls: config.map(TlsAcceptor::from), delay, accepted: Arc::default() })
    }

    /// Serves until it is dropped.
    ///
    /// # Errors
    ///
    /// When no connection can be accepted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops accepting; open connections go on until the runtime ends.
    pub async fn run(self, listener: TcpListener) -> Result<()> {
        loop {
            let (tcp, _) = listener.accept().await?;
            self.accepted.fetch_add(1, Ordering::Relaxed);
            tcp.set_nodelay(true)?;
            let server = self.clone();
            // A connection that fails shows in the requests that its client loses.
            tokio::spawn(async move {
                match &server.tls {
                    None => server.serve(tcp).await,
                    Some(tls) => server.serve(tls.accept(tcp).await?).await,
                }
            });
        }
    }

    async fn serve<I>(&self, io: I) -> Result<()>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = self.clone();
        let service = service_fn(move |_: Request<Incoming>| server.clone().answer());
        let io = TokioIo::new(io);
        match self.protocol {
            Protocol::H1 => http1::Builder::new().serve_connection(io, service).await?,
            Protocol::H2 => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await?,
        }
        Ok(())
    }

    async fn answer(self) -> Result<Response<Full<Bytes>>, Infallible> {
        sleep(self.delay).await;
        let accepted = self.accepted.load(Ordering::Relaxed).to_string();
        Ok(Response::new(Full::new(Bytes::from(accepted))))
    }
}

impl std::fmt::Debug for WaveServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaveServer").field("accepted", &self.accepted).finish_non_exhaustive()
    }
}
