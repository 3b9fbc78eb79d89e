//! An HTTP client transport with the semantics of Go's `net/http.Transport`, on hyper.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod body;
mod client_conn;
mod config;
mod conn;
pub mod dial;
mod error;
mod key;
pub mod layer;
pub mod limits;
mod pool;
mod round_trip;
mod stats;
pub mod trace;
mod transport;
mod upgrade;

pub use body::{RequestBody, ResponseBody};
pub use client_conn::{ClientConn, ConnState, Reserved};
pub use config::{Http2AtLimit, Http2Ping, MaxIdlePerHost, OnCancelDial, Protocol, Protocols, ReuseOrder};
pub use conn::ConnInfo;
pub use error::{BoxError, Error, ErrorKind, InvalidRequest, LimitKind, TimeoutKind};
pub use hyper_util::client::proxy::matcher::Matcher as ProxyMatcher;
pub use key::{ConnKey, Scheme};
pub use round_trip::RoundTripper;
pub use stats::{CloseCause, ClosedBy, ConnStats, PoolStats};
pub use transport::{Builder, CancelOn, Transport};
pub use upgrade::{Upgraded, upgrade};
