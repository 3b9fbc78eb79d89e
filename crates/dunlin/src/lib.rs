//! dunlin: a realtime server framework. Clients hold WebSocket or TCP connections to a gate and speak the
//! nano/pomelo packet protocol; services answer their messages, sessions and groups push to them.
//!
//! [`App`] puts services, layers and limits together and serves them. `#[service]` makes a service of an `impl`
//! block; its methods take extractors such as [`Session`], [`Msg`] or [`State`] and return what the client is answered.
//!
//! ```no_run
//! use dunlin::{App, Event, Groups, Msg, Result, Session, Uid, service};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Join { name: String }
//! #[derive(Serialize)]
//! struct Joined { members: usize }
//! #[derive(Serialize, Event)]
//! #[event("onLine")]
//! struct Line { from: String, text: String }
//!
//! struct Chat;
//!
//! #[service]
//! impl Chat {
//!     /// Logs in and enters the room.
//!     #[request]
//!     async fn join(&self, session: Session, groups: Groups, Msg(join): Msg<Join>) -> Result<Joined> {
//!         session.bind(join.name).await?;
//!         let room = groups.group("lobby");
//!         room.add(&session)?;
//!         Ok(Joined { members: room.count() })
//!     }
//!
//!     /// Says a line to everybody; `Uid` refuses who has not logged in.
//!     #[notify]
//!     async fn say(&self, Uid(from): Uid, groups: Groups, Msg(text): Msg<String>) {
//!         let line = Line { from: from.to_string(), text };
//!         groups.group("lobby").broadcast(&line).ok();
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), dunlin::ServeError> {
//!     App::new().service(Chat).serve("127.0.0.1:3250").await
//! }
//! ```
//!
//! Code map: `app/` what a user builds and runs, `service/` what a user writes, `session/` and `group/` whom it
//! concerns, `cluster/` other nodes, `edge/` where the bytes come in. The bytes themselves are `dunlin_wire`'s business.

/// The pages whose code must keep compiling.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/services.md")]
#[doc = include_str!("../../../docs/limits.md")]
#[doc = include_str!("../../../docs/clusters.md")]
#[doc = include_str!("../../../docs/coming-from-nano.md")]
#[doc = include_str!("../../../docs/coming-from-pitaya.md")]
#[doc = include_str!("../../../docs/zh-CN/coming-from-nano.md")]
#[doc = include_str!("../../../README.zh-CN.md")]
mod pages {}

// The macros name this crate by its name, inside of it too.
extern crate self as dunlin;

mod app;
mod cluster;
mod edge;
mod error;
mod event;
mod group;
pub mod serializer;
pub mod service;
mod session;
mod timer;

pub use app::{
    Admission, Admitted, App, CallError, ConnectError, ExpectError, GateConfig, GateStats, LinkState,
    LocalClient, LocalEnd, Node, NotReady, Push, Refusal, ServeError, StartError, Stopped,
};
pub use cluster::{CallOptions, Cluster, NodeAnswer, TestCluster};
pub use dunlin_cluster::core::Policy;
pub use dunlin_cluster::{
    Cluster as Links, ClusterConfig, Io, Listening, Network, OutsiderError, TcpNetwork, Timing, TlsConfig,
    VoterConfig, registry_over_tls,
};
pub use dunlin_macros::{Event, service};
pub use dunlin_registry::nodes::{NodeRecord, NodeRole, NodeState, NodeTable};
pub use dunlin_wire::ws::{OriginPolicy, WsLimits};
pub use dunlin_wire::{ClientConfig, ClientSys, HandshakeRequest};
pub use edge::{Listen, ServerTls, TlsError, TlsFiles};
pub use error::{Error, Result, ResultExt};
pub use event::Event;
pub use group::{BroadcastError, Delivery, Group, GroupError, Groups};
pub use serializer::{Json, Protobuf, Serializer};
pub use service::{Msg, Proto, Raw, Route, RouteOptions, State, Uid};
pub use session::{
    BindError, CloseReason, PushError, Pushed, SendQueue, Session, SessionClosed, SessionId, Sessions,
    ShareError, Transport, WhenFull,
};
pub use timer::{Timer, TimerError, Timers};
