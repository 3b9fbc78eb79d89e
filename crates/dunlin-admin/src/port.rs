//! The port itself: connections are bounded, and so is the time that a request's head may take.

use std::sync::Arc;

use axum::Router;
use dunlin::ServerTls;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, HEAD_TIMEOUT};

/// What serves.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Port {
    /// Serves until it is stopped.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let accepting = async {
            // A closed semaphore would end it, and nobody closes it.
            while let Ok(place) = places.clone().acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let port = self.clone();
                        self.tasks.spawn(async move {
                            port.greet(stream).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection of the admin port could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        self.stop.run_until_cancelled(accepting).await;
    }

    async fn greet(self, stream: TcpStream) {
        let Some(tls) = &self.tls else { return self.serve_connection(stream).await };
        // Few come here, so whoever does may look.
        if tls.is_stale()
            && let Err(error) = tls.reload()
        {
            tracing::error!(%error, "the admin port's changed certificate cannot be used");
        }
        let accepting = TlsAcceptor::from(tls.config()).accept(stream);
        match timeout(HEAD_TIMEOUT, accepting).await {
            Ok(Ok(stream)) => self.serve_connection(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "a connection of the admin port was refused by TLS"),
            Err(_) => tracing::debug!("a connection of the admin port said nothing of TLS in time"),
        }
    }

    async fn serve_connection(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router));
        let mut connection = std::pin::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection of the admin port ended");
        }
    }
}
