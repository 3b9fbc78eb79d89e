//! The one port of a node: links and the registry over gRPC, Raft over HTTP/1.1, told apart by their paths.

mod heard;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_rafthttp::Transport;
use dunlin_registry::grpc::LateFlush;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service as _;

use self::heard::{FIRST_WORDS_LEN, Heard};
use crate::limits::{CONNECTIONS_MAX, HELLO_TIMEOUT, WINDOW_LEN};
use crate::nano::Caller;
use crate::net::{Io, Listening};
use crate::tls::Tls;

/// Without descriptors, trying again at once would only burn a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is served.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) routes: Routes,
    pub(crate) raft: Option<Transport>,
    pub(crate) tls: Option<Tls>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Port {
    /// Serves until the node stops.
    pub(crate) async fn serve(self, mut listening: Box<dyn Listening>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let accepting = async {
            // A closed semaphore would end it, and nobody closes it.
            while let Ok(place) = places.clone().acquire_owned().await {
                match listening.accept().await {
                    Ok(io) => {
                        let (port, stop) = (self.clone(), self.stop.clone());
                        self.tasks.spawn(async move {
                            stop.run_until_cancelled(port.serve_connection(io)).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a node's connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        self.stop.run_until_cancelled(accepting).await;
    }

    async fn serve_connection(self, io: Box<dyn Io>) {
        let io = match &self.tls {
            None => io,
            Some(tls) => match tls.accept(io).await {
                Ok(io) => io,
                Err(error) => return tracing::warn!(%error, "a connection was refused by TLS"),
            },
        };
        let caller = Caller::new();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let mut port = self.clone();
            request.extensions_mut().insert(caller.clone());
            async move { Ok::<_, Infallible>(port.answer(request).await) }
        });
        let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HELLO_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW_LEN)
            .initial_connection_window_size(WINDOW_LEN);
        let (io, heard) = Heard::new(io);
        let mut serving = pin!(builder.serve_connection(TokioIo::new(LateFlush::new(io)), service));
        let served = match timeout(HELLO_TIMEOUT, &mut serving).await {
            Ok(served) => served,
            Err(_) if heard.load(Ordering::Relaxed) < FIRST_WORDS_LEN => {
                return tracing::debug!("a connection on which nothing was said was closed");
            }
            Err(_) => serving.await,
        };
        if let Err(error) = served {
            tracing::debug!(error, "a node's connection ended");
        }
    }

    async fn answer(&mut self, request: Request<Incoming>) -> Response<Body> {
        match &self.raft {
            Some(raft) if request.uri().path().starts_with("/raft") => {
                raft.answer(request).await.map(Body::new)
            }
            _ => match self.routes.call(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
        }
    }
}
