//! The whole way to a socket that HTTP can be spoken on: dial or proxy, TLS, deadlines, each within its time.

use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::deadline::DeadlineIo;
use super::proxy::{self, ProxyRule, Route};
use super::{Connection, Dial, DialContext, Target, is_timed_out, tls};
use crate::config::{Protocol, Protocols, Settings};
use crate::error::{BoxError, Error, ErrorKind, TimeoutKind};
use crate::key::{ConnKey, Scheme};
use crate::trace::Trace;

/// Everything that sockets are made with.
pub(crate) struct Dialer {
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) dial_tls: Option<Arc<dyn Dial>>,
    pub(crate) proxy: ProxyRule,
    /// The values of requests that have none.
    pub(crate) no_values: Arc<Extensions>,
    tls: Arc<ClientConfig>,
    tls_http1: Arc<ClientConfig>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

/// What a dial is to be made for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) key: ConnKey,
    pub(crate) target: Target,
    pub(crate) route: Option<Route>,
    pub(crate) values: Arc<Extensions>,
    pub(crate) trace: Option<Arc<dyn Trace>>,
}

/// A socket, and what is to be spoken on it.
pub(crate) struct Made {
    pub(crate) connection: Connection,
    pub(crate) protocol: Protocol,
}

impl Dialer {
    pub(crate) fn new(
        dial: Arc<dyn Dial>,
        dial_tls: Option<Arc<dyn Dial>>,
        tls: Option<Arc<ClientConfig>>,
        (protocols, proxy): (Protocols, ProxyRule),
    ) -> Self {
        let tls = tls.unwrap_or_else(tls::public_authorities);
        Self {
            dial,
            dial_tls,
            proxy,
            no_values: Arc::default(),
            tls: Arc::new(tls::with_protocols(&tls, protocols, false)),
            tls_http1: Arc::new(tls::with_protocols(&tls, Protocols::Http1, true)),
        }
    }

    /// Makes a socket.
    pub(crate) async fn establish(&self, order: Order, settings: &Settings) -> Result<Made, Error> {
        let Order { key, target, route, values, trace } = order;
        let cx = DialContext { target, values, trace };
        let result = self.make(&key, route, cx, settings).await;
        let made = result.map_err(|error| error.to(&key))?;
        let protocol = match settings.protocols {
            Protocols::Http2PriorKnowledge => Protocol::Http2,
            Protocols::Negotiated if made.is_http2 => Protocol::Http2,
            Protocols::Negotiated | Protocols::Http1 => Protocol::Http1,
        };
        let mut connection = made;
        if settings.read_timeout.is_some() || settings.write_timeout.is_some() {
            let io = DeadlineIo::new(connection.io, settings.read_timeout, settings.write_timeout);
            connection.io = Box::new(io);
        }
        Ok(Made { connection, protocol })
    }

    async fn make(
        &self,
        key: &ConnKey,
        route: Option<Route>,
        cx: DialContext,
        settings: &Settings,
    ) -> Result<Connection, Error> {
        let is_tls = key.scheme() == Scheme::Https;
        if let (true, None, Some(dial)) = (is_tls, &route, &self.dial_tls) {
            return self.dial_traced(dial.dial(cx.clone()), &cx, ErrorKind::Dial, settings).await;
        }
        let (dialing, kind) = match route {
            None => (self.dial.dial(cx.clone()), ErrorKind::Dial),
            Some(route) => {
                let (dial, cx, tls) = (self.dial.clone(), cx.clone(), self.tls_http1.clone());
                let dialing: super::Dialing =
                    Box::pin(async move { proxy::connect(&route, dial, cx, tls).await });
                (dialing, ErrorKind::Proxy)
            }
        };
        let connection = self.dial_traced(dialing, &cx, kind, settings).await?;
        if !is_tls {
            return Ok(connection);
        }
        let config = if key.is_http1_only() { &self.tls_http1 } else { &self.tls };
        let handshake = tls::handshake(connection, &cx.target.host, config.clone());
        if let Some(trace) = &cx.trace {
            trace.tls_handshake_start();
        }
        let limit = (settings.tls_handshake_timeout, TimeoutKind::TlsHandshake);
        let result = within(limit, ErrorKind::Tls, handshake).await;
        if let Some(trace) = &cx.trace {
            match &result {
                Ok(made) => trace.tls_handshake_done(Ok(made.is_http2.then_some(b"h2".as_slice()))),
                Err(error) => trace.tls_handshake_done(Err(error)),
            }
        }
        result
    }

    async fn dial_traced(
        &self,
        dialing: super::Dialing,
        cx: &DialContext,
        kind: ErrorKind,
        settings: &Settings,
    ) -> Result<Connection, Error> {
        if let Some(trace) = &cx.trace {
            trace.connect_start(&cx.target);
        }
        let result = within((settings.dial_timeout, TimeoutKind::Dial), kind, dialing).await;
        if let Some(trace) = &cx.trace {
            match &result {
                Ok(connection) => trace.connect_done(&cx.target, Ok(connection.remote_addr)),
                Err(error) => trace.connect_done(&cx.target, Err(error)),
            }
        }
        result
    }
}

/// Bounds one step in time and says which step failed.
async fn within(
    (limit, over): (Option<Duration>, TimeoutKind),
    kind: ErrorKind,
    step: impl Future<Output = Result<Connection, BoxError>>,
) -> Result<Connection, Error> {
    let result = match limit {
        None => step.await,
        Some(limit) => timeout(limit, step).await.map_err(|_| Error::timeout(over))?,
    };
    result.map_err(|error| {
        let kind = if is_timed_out(error.as_ref()) { ErrorKind::Timeout(over) } else { kind };
        Error::new(kind).because(error)
    })
}
