//! What a node does about its peers, decided without IO, clock or randomness: times and chances are arguments.
//!
//! - `peer.rs`: one peer: which channel a message takes, what happens when it does not fit, streams that come and go.
//!   Start here.
//! - `channel.rs`, `queue.rs`, `status.rs`, `redial.rs`, `urls.rs`: the parts of that.
//! - `id.rs`: members and clusters, as they stand in headers and paths.

mod channel;
mod id;
mod peer;
mod queue;
mod redial;
mod status;
mod urls;

pub use self::channel::{Channel, StreamKind};
pub use self::id::{ClusterId, IdError, MemberId};
pub(crate) use self::peer::{Attached, Batch, Outcome, Peer, PeerConfig, Report, Reports};
pub(crate) use self::queue::{MessageQueue, QueueLimits};
pub(crate) use self::redial::Redial;
pub use self::status::ChannelState;
pub(crate) use self::status::PeerStatus;
pub use self::urls::{PeerUrls, UrlError};
