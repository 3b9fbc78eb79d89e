//! The dial that is used when none is given: resolving and TCP by hyper-util, with addresses of both families raced.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use super::{Connection, Dial, DialContext, Dialing};
use crate::error::BoxError;
use crate::limits::TCP_KEEP_ALIVE;
use crate::trace::Trace;

/// TCP without delay, probed by the kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct TcpDial {
    pub(crate) user_timeout: Option<Duration>,
}

impl TcpDial {
    fn connector(&self, trace: Option<Arc<dyn Trace>>) -> HttpConnector<TracedResolver> {
        let resolver = TracedResolver { resolver: GaiResolver::new(), trace };
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(TCP_KEEP_ALIVE));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(self.user_timeout);
        connector
    }
}

impl Dial for TcpDial {
    fn dial(&self, cx: DialContext) -> Dialing {
        let mut connector = self.connector(cx.trace);
        Box::pin(async move {
            let stream = connector.call(cx.target.uri()).await?;
            Ok(Connection::from(stream.into_inner()))
        })
    }
}

/// Tells a trace of look-ups.
#[derive(Clone)]
struct TracedResolver {
    resolver: GaiResolver,
    trace: Option<Arc<dyn Trace>>,
}

impl Service<Name> for TracedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.resolver.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let trace = self.trace.clone();
        let looking = self.resolver.call(name.clone());
        Box::pin(async move {
            if let Some(trace) = &trace {
                trace.dns_start(name.as_str());
            }
            let result = looking.await.map(Iterator::collect::<Vec<_>>);
            if let Some(trace) = &trace {
                match &result {
                    Ok(addrs) => trace.dns_done(name.as_str(), Ok(addrs)),
                    Err(error) => trace.dns_done(name.as_str(), Err(error)),
                }
            }
            Ok(result?.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_sends_without_delay() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let stream = TcpDial::default().connector(None).call(uri).await.unwrap().into_inner();
        assert!(stream.nodelay().unwrap());
    }
}
