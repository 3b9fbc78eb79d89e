//! Accepts the peers' connections, with a bound on how many and on how long each may be silent.

use std::sync::Arc;
use std::time::Duration;

use dunlin_http::dial::DeadlineIo;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::near::is_near;
use super::server::answer;
use super::tls::Identity;
use crate::limits::CONNECTIONS_MAX;
use crate::node::Node;

/// Accepts until `shutdown` is ready or the transport is stopped, and waits shortly for what runs.
pub(crate) async fn serve(node: Arc<Node>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    warn_if_open(&node, &listener);
    let connections = TaskTracker::new();
    let stop = node.stop.child_token();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        loop {
            // A closed semaphore would end it, and nobody closes it.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let serving = serve_connection(node.clone(), stream);
                    let stop = stop.clone();
                    connections.spawn(async move {
                        stop.run_until_cancelled(serving).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a peer's connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
        () = node.stop.cancelled() => {}
    }
    stop.cancel();
    connections.close();
    connections.wait().await;
}

/// Plain text is for networks that one trusts, and the internet is none.
fn warn_if_open(node: &Node, listener: &TcpListener) {
    let Ok(addr) = listener.local_addr() else { return };
    if node.config.tls.is_none() && !is_near(addr.ip()) {
        tracing::warn!(%addr, "peers are served in plain text on an address that strangers may reach; set up TLS");
    }
}

/// Without descriptors, trying again at once would only burn a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn serve_connection(node: Arc<Node>, stream: TcpStream) {
    let limit = node.config.socket_timeout;
    // A socket that cannot be set up works all the same, if slower.
    stream.set_nodelay(true).ok();
    let (io, identity): (Box<dyn dunlin_http::dial::Io>, _) = match &node.config.tls {
        None => (Box::new(stream), Identity::Trusted),
        Some(tls) => match tls.accept(stream).await {
            Ok((stream, identity)) => (Box::new(stream), identity),
            Err(error) => {
                tracing::warn!(%error, "a connection was refused by TLS");
                return;
            }
        },
    };
    // A peer sends nothing on a stream that it reads, so only writes have a limit; requests have their own.
    let io = DeadlineIo::new(io, None, Some(limit));
    let service = hyper::service::service_fn(move |request| {
        let answering = answer(node.clone(), identity.clone(), request);
        async move { Ok::<_, std::convert::Infallible>(answering.await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .serve_connection(TokioIo::new(io), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a peer's connection ended");
    }
}
