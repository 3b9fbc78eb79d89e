//! The one unsafe line of the workspace: handing the poll's descriptor to the runtime. Read the proof before you touch it.
//!
//! `AsyncFd::register` is unsafe because an arbitrary `AsRawFd` could close its descriptor, or name another one,
//! while the runtime still watches it. Here the type is fixed: `OwnedPoll` wraps a `mio::Poll` that is built in
//! [`crate::AwaitablePoll::new`], moved in, and never handed out by value or by mutable reference except for the
//! call of `mio::Poll::poll`. `mio::Poll` keeps one descriptor from its construction to its drop, and `AsyncFd`
//! deregisters before it drops what it wraps. So the descriptor is open and the same for as long as it is registered.
#![expect(unsafe_code, reason = "the proof is in the header of this file")]

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::OwnedPoll;

/// Registers the poll with the current runtime, for readability.
pub(crate) fn register(poll: OwnedPoll) -> io::Result<AsyncFd<OwnedPoll>> {
    // SAFETY: `OwnedPoll` names one open descriptor from here to the drop of the `AsyncFd`; see the header.
    unsafe { AsyncFd::register_with_interest(poll, Interest::READABLE) }.map_err(io::Error::from)
}
