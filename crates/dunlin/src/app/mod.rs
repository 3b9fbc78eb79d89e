//! The application: what a user builds, starts and stops.
//!
//! `builder.rs` is [`App`], `config.rs` its limits, `start.rs` lets it run, `node.rs` is a running one, `look.rs` what can be seen of it, `shared.rs` what all of its parts see,
//! `local/` a client inside the process.

mod admission;
mod builder;
mod config;
mod hooks;
mod local;
mod look;
mod node;
mod page;
mod shared;
mod start;
mod stats;

pub use admission::{Admission, Admitted, Refusal};
pub use builder::App;
pub use config::GateConfig;
pub(crate) use hooks::{Hooks, contain};
pub use local::{CallError, ConnectError, ExpectError, LocalClient, LocalEnd, Push};
pub use look::{LinkState, NotReady};
pub use node::{Node, ServeError, Stopped};
pub(crate) use shared::Shared;
pub use start::StartError;
pub use stats::GateStats;
pub(crate) use stats::{ShardStats, Stats};
