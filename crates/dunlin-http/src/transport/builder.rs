//! How a transport is set up: the fields of Go's `Transport`, with their names.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use tokio::runtime::Handle;

use super::Transport;
use super::shared::Shared;
use crate::config::{Http2AtLimit, Http2Ping, MaxIdlePerHost, OnCancelDial, Protocols, ReuseOrder, Settings};
use crate::dial::{self, Connection, Dial, Dialer, ProxyRule, Target, TcpDial};
use crate::error::BoxError;
use crate::limits;
use crate::trace::Trace;

/// Sets up a [`Transport`]. Methods are named after the fields of Go's `Transport`, defaults are those of its
/// `DefaultTransport` where nothing else is said; they stand with their reasons in [`limits`].
#[derive(Default)]
pub struct Builder {
    settings: Settings,
    dial: Option<Arc<dyn Dial>>,
    dial_context: Option<Arc<dyn Dial>>,
    dial_tls: Option<Arc<dyn Dial>>,
    tls: Option<Arc<ClientConfig>>,
    tcp: TcpDial,
    proxy: ProxyRule,
    runtime: Option<Handle>,
}

impl Builder {
    /// How sockets are made, told where to and nothing else. [`dial_context`](Self::dial_context) wins over it.
    /// Default: resolving and TCP, both address families raced, without delay (`TCP_NODELAY`).
    #[must_use]
    pub fn dial<F, Fut, C, E>(mut self, dial: F) -> Self
    where
        F: Fn(Target) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, E>> + Send + 'static,
        C: Into<Connection>,
        E: Into<BoxError>,
    {
        self.dial = Some(Arc::new(dial::from_target(dial)));
        self
    }

    /// How sockets are made, told also the values and the trace of the request that wants one. Closures are dials; see
    /// [`dial::immediate`] for those that do not wait and [`dial::from_service`] for connectors of tower and hyper.
    #[must_use]
    pub fn dial_context(mut self, dial: impl Dial) -> Self {
        self.dial_context = Some(Arc::new(dial));
        self
    }

    /// How sockets for `https` are made without a proxy, TLS included. Say [`Connection::with_http2`] when HTTP/2 was
    /// agreed on. Default: a socket as above, then TLS by rustls.
    #[must_use]
    pub fn dial_tls(mut self, dial: impl Dial) -> Self {
        self.dial_tls = Some(Arc::new(dial));
        self
    }

    /// Authorities, client certificate and versions of TLS. The protocols of ALPN are set by the transport. Default:
    /// the public authorities (webpki-roots) and no client certificate.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Goes through the proxies that a matcher of hyper-util says: HTTP and HTTPS ones, with tunnels for `https`, and
    /// SOCKS 5. Default: none.
    #[must_use]
    pub fn proxy(mut self, matcher: Matcher) -> Self {
        self.proxy = ProxyRule::Matcher(Arc::new(matcher));
        self
    }

    /// Goes through the proxies that the environment says: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`. Off by
    /// default, since a server should not change its ways by a variable that nobody remembers.
    #[must_use]
    pub fn proxy_from_environment(self) -> Self {
        self.proxy(Matcher::from_env())
    }

    /// Uses each connection for one request, and says so to the server. Default: off.
    #[must_use]
    pub fn disable_keep_alives(mut self, is_disabled: bool) -> Self {
        self.settings.pool.keeps_alive = !is_disabled;
        self
    }

    /// Idle connections to all hosts together; beyond that the one idle for longest is closed. `None`: as many as come
    /// back. Default: [`limits::MAX_IDLE_CONNS`].
    #[must_use]
    pub fn max_idle_conns(mut self, max: impl Into<Option<usize>>) -> Self {
        self.settings.pool.max_idle = max.into();
        self
    }

    /// Idle connections to one host; beyond that the one that just became idle is closed. Default:
    /// [`limits::MAX_IDLE_CONNS_PER_HOST`], so set it when a host has more requests at a time.
    #[must_use]
    pub fn max_idle_conns_per_host(mut self, max: impl Into<MaxIdlePerHost>) -> Self {
        self.settings.pool.max_idle_per_host = max.into();
        self
    }

    /// Connections to one host, dialing, busy and idle ones; requests beyond that wait in order of their coming. Zero
    /// and the default: as many as there are requests.
    #[must_use]
    pub fn max_conns_per_host(mut self, max: usize) -> Self {
        self.settings.pool.max_conns_per_host = NonZeroUsize::new(max);
        self
    }

    /// Requests to one host that wait for a connection; one more is refused at once. Default:
    /// [`limits::MAX_WAITING_PER_HOST`].
    #[must_use]
    pub fn max_waiting_per_host(mut self, max: usize) -> Self {
        self.settings.pool.waiting_max = max;
        self
    }

    /// How long a request waits for a connection, its dial included. `None` and the default: as long as its caller does.
    #[must_use]
    pub fn wait_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.wait_timeout = timeout.into();
        self
    }

    /// How long a connection may be idle. `None`: until the server closes it. Default: [`limits::IDLE_CONN_TIMEOUT`].
    #[must_use]
    pub fn idle_conn_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.pool.idle_timeout = timeout.into();
        self
    }

    /// How old a connection may become; up to an eighth less, so that not all go at once. It is looked at between
    /// requests. `None` and the default: as old as it lives. Set it to follow changes of DNS.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.settings.max_lifetime = lifetime.into();
        self
    }

    /// Which idle connection serves next. Default: the newest.
    #[must_use]
    pub fn reuse_order(mut self, order: ReuseOrder) -> Self {
        self.settings.pool.reuse_order = order;
        self
    }

    /// What becomes of the dial of a cancelled request. Default: it is kept for the next one.
    #[must_use]
    pub fn on_cancel_dial(mut self, on_cancel: OnCancelDial) -> Self {
        self.settings.pool.on_cancel_dial = on_cancel;
        self
    }

    /// How long a dial may take, a proxy's part included, TLS to the server not. `None`: as long as the system lets it.
    /// Default: [`limits::DIAL_TIMEOUT`].
    #[must_use]
    pub fn dial_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.dial_timeout = timeout.into();
        self
    }

    /// How long a TLS handshake may take. Default: [`limits::TLS_HANDSHAKE_TIMEOUT`].
    #[must_use]
    pub fn tls_handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.tls_handshake_timeout = timeout.into();
        self
    }

    /// How long a response may take to begin, from when the request was fully written. `None` and the default: for ever.
    #[must_use]
    pub fn response_header_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.response_header_timeout = timeout.into();
        self
    }

    /// How long a request with `Expect: 100-continue` waits for leave before it sends its body all the same. `None`: it
    /// does not wait. Default: [`limits::EXPECT_CONTINUE_TIMEOUT`]. HTTP/1 only.
    #[must_use]
    pub fn expect_continue_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.expect_continue_timeout = timeout.into();
        self
    }

    /// How long a socket may be silent while something is to be read from it, which is also while its connection is
    /// idle. `None` and the default: for ever.
    #[must_use]
    pub fn read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.read_timeout = timeout.into();
        self
    }

    /// How long a socket may take nothing while something is to be written to it. `None` and the default: for ever.
    #[must_use]
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.write_timeout = timeout.into();
        self
    }

    /// How long sent bytes may stay unacknowledged before the kernel gives the connection up (`TCP_USER_TIMEOUT`, Linux;
    /// sockets of the default dial). `None` and the default: as the system does.
    #[must_use]
    pub fn tcp_user_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.tcp.user_timeout = timeout.into();
        self
    }

    /// Bytes of a response's head; at least [`limits::MAX_RESPONSE_HEADER_BYTES_MIN`]. Default:
    /// [`limits::MAX_RESPONSE_HEADER_BYTES`].
    #[must_use]
    pub fn max_response_header_bytes(mut self, max: usize) -> Self {
        self.settings.max_response_header_bytes = max.max(limits::MAX_RESPONSE_HEADER_BYTES_MIN);
        self
    }

    /// Header fields of a response. Default: [`limits::MAX_RESPONSE_HEADERS`]; any other number costs an allocation for
    /// each response. HTTP/1 only.
    #[must_use]
    pub fn max_response_headers(mut self, max: usize) -> Self {
        self.settings.max_response_headers =
            NonZeroUsize::new(max).filter(|max| max.get() != limits::MAX_RESPONSE_HEADERS);
        self
    }

    /// How much of a body that nobody reads is read on, and for how long, to use its connection again. Default:
    /// [`limits::DRAIN_LEN_MAX`] and [`limits::DRAIN_TIMEOUT`].
    #[must_use]
    pub fn drain(mut self, len_max: u64, timeout: Duration) -> Self {
        (self.settings.drain_len_max, self.settings.drain_timeout) = (len_max, timeout);
        self
    }

    /// The protocols that are spoken. Default: what ALPN says, and HTTP/1.1 in plain text.
    #[must_use]
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.settings.protocols = protocols;
        self
    }

    /// What happens when HTTP/2 connections have all the streams they may have. Default: another connection.
    #[must_use]
    pub fn http2_at_limit(mut self, at_limit: Http2AtLimit) -> Self {
        self.settings.pool.http2_at_limit = at_limit;
        self
    }

    /// Pings HTTP/2 connections, so that dead ones are noticed. `None` and the default: not.
    #[must_use]
    pub fn http2_ping(mut self, ping: impl Into<Option<Http2Ping>>) -> Self {
        self.settings.http2_ping = ping.into();
        self
    }

    /// Traces every request that has no [`RequestTrace`](crate::trace::RequestTrace) of its own.
    #[must_use]
    pub fn trace(mut self, trace: Arc<dyn Trace>) -> Self {
        self.settings.trace = Some(trace);
        self
    }

    /// Where connections run. They die with their runtime, so name the one that lives longest when there are several.
    /// Default: that of whoever asks.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The transport.
    #[must_use]
    pub fn build(self) -> Transport {
        let dial = self.dial_context.or(self.dial).unwrap_or_else(|| Arc::new(self.tcp));
        let dialer = Dialer::new(dial, self.dial_tls, self.tls, (self.settings.protocols, self.proxy));
        Transport { shared: Shared::new(self.settings, dialer, self.runtime) }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
