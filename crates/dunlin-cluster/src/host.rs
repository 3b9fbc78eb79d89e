//! What a node's links bring up: whoever has sessions and services implements it.

use std::sync::Arc;

use crate::frame::Frame;
use crate::link::{Accepted, Peer};

/// What a node makes of what other nodes say. Nothing here may wait: links bring more.
pub trait Host: Send + Sync + 'static {
    /// Another node has dialed this one: what takes its frames, in order, until the link ends.
    fn accept(&self, link: Arc<Accepted>) -> Box<dyn LinkHandler>;

    /// A node is gone: no link of it came back in time, or it is another one since. Its sessions have ended.
    fn forget(&self, node: u64);

    /// A node that was dialed is dialed no more: it is gone from the registry, or this node stops.
    fn leave(&self, peer: &Peer);

    /// A link to a node is there. Which sessions of ours it knows that still are.
    fn alive(&self, peer: &Peer) -> Vec<u64>;

    /// A node that was dialed says something that is no answer: a push, a close, an alteration.
    fn handle_peer_frame(&self, peer: &Arc<Peer>, frame: Frame);
}

/// What takes the frames of one link that another node dialed.
pub trait LinkHandler: Send {
    /// A call, or what became of sessions.
    fn handle_frame(&mut self, frame: Frame);
}
