//! What decides, without IO, clock or randomness.
//!
//! - `core/dispatch.rs`: which node a call goes to. `core/queue.rs`: what waits to be sent on a link. `core/pulse.rs`: whether a link
//!   lives. `core/backoff.rs`: when a node is dialed again.

mod backoff;
mod dispatch;
mod pulse;
mod queue;

pub(crate) use self::backoff::Backoff;
pub use self::dispatch::{Candidate, Policy, choose};
pub(crate) use self::pulse::Pulse;
pub(crate) use self::queue::{FrameQueue, QueueError};
