//! Proxies: which one a request goes through, and how a socket is made through it. Rules, tunnels and SOCKS are
//! hyper-util's.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tower_service::Service;

use super::{BoxIo, Connection, Dial, DialContext, Target, tls};
use crate::error::BoxError;
use crate::key::Scheme;

/// Who decides on proxies.
#[derive(Debug, Clone, Default)]
pub(crate) enum ProxyRule {
    #[default]
    Never,
    Matcher(Arc<Matcher>),
}

/// A proxy that a request goes through.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    kind: Kind,
    pub(crate) uri: Uri,
    pub(crate) auth: Option<HeaderValue>,
    user: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http(Scheme),
    Socks5,
}

impl ProxyRule {
    pub(crate) fn route(&self, uri: &Uri) -> Option<Route> {
        let Self::Matcher(matcher) = self else { return None };
        let found = matcher.intercept(uri)?;
        let kind = match found.uri().scheme_str() {
            Some("socks5" | "socks5h") => Kind::Socks5,
            Some("https") => Kind::Http(Scheme::Https),
            _ => Kind::Http(Scheme::Http),
        };
        let user = found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
        Some(Route { kind, uri: found.uri().clone(), auth: found.basic_auth().cloned(), user })
    }
}

impl Route {
    /// Whether the proxy is sent the request itself, instead of being asked for a way to the server.
    pub(crate) fn takes_requests_for(&self, scheme: Scheme) -> bool {
        scheme == Scheme::Http && matches!(self.kind, Kind::Http(_))
    }
}

/// Makes a socket through a proxy: to the proxy for plain requests, to the target for others.
pub(crate) async fn connect(
    route: &Route,
    dial: Arc<dyn Dial>,
    cx: DialContext,
    proxy_tls: Arc<ClientConfig>,
) -> Result<Connection, BoxError> {
    let target = with_port(&cx.target)?;
    let scheme = cx.target.scheme;
    let addrs = Arc::new(OnceLock::new());
    let mut via = ViaProxy { dial, cx, proxy_tls, kind: route.kind, addrs: addrs.clone() };
    let io = if route.takes_requests_for(scheme) {
        via.call(route.uri.clone()).await?
    } else if route.kind == Kind::Socks5 {
        let mut socks = SocksV5::new(route.uri.clone(), via);
        if let Some((user, password)) = &route.user {
            socks = socks.with_auth(user.clone(), password.clone());
        }
        poll_fn(|cx| socks.poll_ready(cx)).await.map_err(|error| error.to_string())?;
        socks.call(target).await.map_err(|error| error.to_string())?
    } else {
        let mut tunnel = Tunnel::new(route.uri.clone(), via);
        if let Some(auth) = &route.auth {
            tunnel = tunnel.with_auth(auth.clone());
        }
        poll_fn(|cx| tunnel.poll_ready(cx)).await?;
        tunnel.call(target).await?
    };
    let (local, remote) = addrs.get().copied().unwrap_or_default();
    Ok(Connection { io: io.into_inner(), local_addr: local, remote_addr: remote, is_http2: false })
}

/// Tunnels take 443 where no port is named, whatever the scheme.
fn with_port(target: &Target) -> Result<Uri, http::Error> {
    let builder = Uri::builder().scheme(target.scheme.as_str()).path_and_query("/");
    builder.authority(target.to_string()).build()
}

type Addrs = (Option<SocketAddr>, Option<SocketAddr>);

/// The dial of the proxy itself, in the form that hyper-util's proxies take.
#[derive(Clone)]
struct ViaProxy {
    dial: Arc<dyn Dial>,
    cx: DialContext,
    proxy_tls: Arc<ClientConfig>,
    kind: Kind,
    addrs: Arc<OnceLock<Addrs>>,
}

impl Service<Uri> for ViaProxy {
    type Response = TokioIo<BoxIo>;
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let authority = proxy.authority().ok_or("the proxy's URI names no host")?;
            let scheme = if let Kind::Http(scheme) = this.kind { scheme } else { Scheme::Http };
            let mut target = Target::new(scheme, authority);
            if this.kind == Kind::Socks5 && authority.port().is_none() {
                target.port = SOCKS_PORT;
            }
            let host = target.host.clone();
            let mut connection = this.dial.dial(DialContext { target, ..this.cx }).await?;
            if scheme == Scheme::Https {
                connection = tls::handshake(connection, &host, this.proxy_tls).await?;
            }
            // Set once: a proxy is dialed once for a connection.
            this.addrs.set((connection.local_addr, connection.remote_addr)).ok();
            Ok(TokioIo::new(connection.io))
        })
    }
}

/// Where SOCKS proxies listen unless they say otherwise (RFC 1928).
const SOCKS_PORT: u16 = 1080;
