//! Where one of our sessions has been: which nodes know it, and which of them answers for which service.

use std::sync::Arc;

use dunlin_cluster::Peer;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    /// Nodes that know the session, each with the link on which it was told last who that is.
    peers: Vec<(Arc<Peer>, u64)>,
    /// The node of each service, by its id.
    bound: Vec<(Arc<str>, u64)>,
}

/// What a visit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// The first one: the node does not know the session.
    First,
    /// The first one on this link: the node may have missed something.
    Again,
    /// One of many.
    Usual,
}

impl Visits {
    pub(crate) fn peers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.peers.iter().map(|(peer, _)| peer)
    }

    /// The session goes to a node.
    pub(crate) fn visit(&mut self, peer: &Arc<Peer>) -> Visit {
        let link = peer.links();
        match self.peers.iter_mut().find(|(known, _)| known.id() == peer.id()) {
            Some((_, known)) if *known == link => Visit::Usual,
            Some((_, known)) => {
                *known = link;
                Visit::Again
            }
            None => {
                self.peers.push((peer.clone(), link));
                Visit::First
            }
        }
    }

    /// The node that answers for a service.
    pub(crate) fn bound(&self, service: &str) -> Option<u64> {
        self.bound.iter().find(|(bound, _)| **bound == *service).map(|(_, node)| *node)
    }

    /// From now on this node answers for a service.
    pub(crate) fn bind(&mut self, service: &str, node: u64) {
        match self.bound.iter_mut().find(|(bound, _)| **bound == *service) {
            Some((_, known)) => *known = node,
            None => self.bound.push((service.into(), node)),
        }
    }

    /// A node is gone for good.
    pub(crate) fn forget(&mut self, node: u64) {
        self.peers.retain(|(peer, _)| peer.id() != node);
        self.bound.retain(|(_, bound)| *bound != node);
    }
}
