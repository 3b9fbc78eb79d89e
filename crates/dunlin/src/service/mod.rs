//! What a user writes: services with typed handlers, and everything between a client's call and a handler.
//!
//! A [`Call`] comes from a session, goes through the layers (`layer.rs`), and reaches the function of its route
//! (`entry.rs`, found by `router.rs`), which makes the arguments (`extract.rs`, `payload.rs`), awaits the handler and
//! makes the answer (`output.rs`). `#[service]` and closures (`closure.rs`) both become such functions. Services with
//! `&self` are in `shared.rs`, those with `&mut self` in `serial.rs`; their life is in `lifecycle.rs`.
//!
//! Knows nothing of connections: polling the future of a call, its deadline, and the order of a session's calls are
//! the business of whoever holds the connection.

mod call;
mod closure;
mod entry;
mod extract;
mod hooks;
mod layer;
mod lifecycle;
mod meter;
mod mount;
mod output;
mod parts;
mod payload;
mod push_filter;
mod rate_limit;
mod router;
mod serial;
mod set;
mod shared;
mod start;
mod tasks;
mod trace;

pub mod codegen;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;

pub use call::{Call, CallFuture, CallKind, Handler, Reply};
pub use closure::{HandlerFn, NotifyFn, RouteOptions};
pub(crate) use entry::{RouteEntry, service_name};
pub use entry::{RouteInfo, RouteKind};
pub use extract::{Extract, FromApp, Route, State, Uid};
pub use layer::CallService;
pub(crate) use lifecycle::Lifecycle;
pub use lifecycle::{Stage, StartError};
pub use meter::{MeterLayer, Metered};
pub use mount::{Mount, RouteSpec, Service};
pub use output::{NotifyOutput, RequestOutput};
pub use parts::{AppParts, Needs};
pub use payload::{IntoReply, Msg, Proto, Raw};
pub use push_filter::PushFilter;
pub(crate) use push_filter::PushFilters;
pub use rate_limit::{RateLimit, RateLimited};
pub(crate) use router::{Router, RoutesByCode};
pub use serial::{SerialHook, SerialMount};
pub use set::{BuildError, ServiceSet};
pub use shared::{SharedHook, SharedMount};
pub(crate) use start::{Started, Starters};
pub(crate) use tasks::{Tasks, TasksEnded, contain};
pub use trace::{TraceLayer, Traced};
pub(crate) use trace::{carried, carried_span};

/// A future in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
