//! Sessions: the logical life of one client on this node, as handlers, groups and hooks see it.
//!
//! [`Session`] is a cheap handle that stays safe after its connection is gone. `outbox.rs` is the bounded queue of
//! what waits to be written, `abroad.rs` is what of a session other nodes know, `outgoing.rs` encodes one push for many clients, `directory.rs` finds sessions by uid.
//! The socket's side of the same connection is the agent in `edge/`.

mod abroad;
mod attributes;
mod close;
mod directory;
mod handle;
mod id;
pub(crate) mod outbox;
mod outgoing;

pub use abroad::ShareError;
pub use close::CloseReason;
pub use directory::Sessions;
pub use handle::{BindError, Session, SessionClosed, Transport};
pub(crate) use handle::{Home, SessionSeed};
pub use id::SessionId;
pub(crate) use id::SessionIds;
pub use outbox::{Pushed, SendQueue, WhenFull};
pub(crate) use outgoing::Outgoing;
pub use outgoing::PushError;
