//! Nodes of Go's nano beside nodes of dunlin, in one cluster: as its protocol has it, over unary calls.
//!
//! A Go node that has any dunlin node for its master is in the registry like other nodes, so all dunlin nodes know it; a dunlin node that has a Go
//! node for its master knows that one's members by itself. Whoever serves is a [`Peer`], a Go gate whose clients call services here is an
//! [`Accepted`](crate::Accepted): the host does not see the difference.
//!
//! - Pure: `nano/messages.rs` what is said, `nano/convert.rs` frames as messages and back, `nano/lanes.rs` order within sessions,
//!   `nano/sessions.rs` the sessions of a Go gate, `nano/roster.rs` who has registered here and was told of whom.
//! - Acting: `nano/wire.rs` a connection, `nano/calls.rs` calls on it from a queue, `nano/backends.rs` Go nodes that serve, `nano/gates.rs` Go nodes
//!   whose clients call, `nano/master.rs` and `nano/member.rs` nano's two services, `nano/join.rs` this node as a member of a Go master.
//!
//! Invariants: every call to a Go node has a deadline, and one that does not answer delays nobody else. `docs/protocol/nano-cluster.md` has the protocol.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dunlin_registry::Registry;
use dunlin_registry::nodes::{NodeRecord, NodeTable};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tonic::service::RoutesBuilder;

use crate::link::{Dialer, Peer};

mod backends;
mod calls;
mod convert;
mod gates;
mod join;
mod lanes;
mod master;
mod member;
pub(crate) mod messages;
mod roster;
mod sessions;
#[cfg(test)]
mod tests;
mod wire;

#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "written by tonic"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/clusterpb.Master.rs"));
    include!(concat!(env!("OUT_DIR"), "/clusterpb.Member.rs"));
}

use self::backends::Backends;
pub(crate) use self::convert::{addr, is_nano};
pub(crate) use self::gates::Caller;
use self::gates::Gates;
use self::join::Joined;
use self::master::Master;

/// The label of a record that says what its node speaks, if that is not dunlin's own.
const LABEL_PROTOCOL: &str = "protocol";

/// The value of [`LABEL_PROTOCOL`] of a Go node.
const PROTOCOL: &str = "nano";

/// The label of a Go node's record that says with which dunlin node it has registered, by that one's address.
const LABEL_VIA: &str = "nano-master";

/// The URL of a Go node begins so.
const URL_SCHEME: &str = "nano://";

/// What everything here shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dialer: Dialer,
    /// Where Go nodes reach this node.
    pub(crate) addr: String,
    /// How often Go nodes say that they live.
    pub(crate) heartbeat: Duration,
    pub(crate) tasks: TaskTracker,
}

/// This node among those of nano.
#[derive(Debug, Clone)]
pub(crate) struct Nano {
    shared: Arc<Shared>,
    backends: Arc<Backends>,
    gates: Arc<Gates>,
    master: Arc<Master>,
    joined: Arc<Joined>,
}

impl Nano {
    pub(crate) fn new(shared: Shared, record: &NodeRecord) -> Self {
        let shared = Arc::new(shared);
        Self {
            backends: Backends::new(shared.clone()),
            gates: Gates::new(shared.clone()),
            master: Master::new(shared.clone(), record.clone()),
            joined: Arc::new(Joined::new(shared.clone(), record)),
            shared,
        }
    }

    /// Adds nano's services to those of the node's port.
    pub(crate) fn add_services(&self, routes: &mut RoutesBuilder) {
        routes.add_service(master::service(self.master.clone()));
        routes.add_service(member::service(self.backends.clone(), self.gates.clone(), self.joined.clone()));
    }

    /// Takes Go nodes in from now on, and joins a Go master if there is one to join.
    pub(crate) fn begin(
        &self,
        registry: Arc<dyn Registry>,
        table: watch::Receiver<Arc<NodeTable>>,
        master: Option<String>,
    ) {
        self.master.begin(registry, table);
        if let Some(master) = master {
            self.shared.tasks.spawn(join::keep(self.joined.clone(), master));
        }
    }

    /// The members of the Go master that this node has joined.
    pub(crate) fn joined(&self) -> watch::Receiver<Arc<Vec<NodeRecord>>> {
        self.joined.subscribe()
    }

    /// A Go node that has services, as a peer.
    pub(crate) fn peer(&self, record: &NodeRecord) -> Arc<Peer> {
        self.backends.add(record)
    }

    /// Looks which Go gates are there still.
    pub(crate) fn follow<'a>(&self, nodes: impl Iterator<Item = &'a NodeRecord>) {
        let mut by_addr = gates::Nodes::new();
        for node in nodes.filter(|node| is_nano(node)) {
            if let Some(addr) = addr(node) {
                by_addr.entry(addr.to_owned()).or_default().insert(node.id);
            }
        }
        self.gates.follow(&by_addr);
    }

    /// Tells Go nodes that this one is about to be gone.
    pub(crate) async fn leave(&self) {
        tokio::join!(self.master.leave(), self.joined.leave());
    }
}

/// The members of a Go master that are no nodes of this cluster otherwise.
pub(crate) fn strangers<'a>(table: &NodeTable, joined: &'a [NodeRecord]) -> Vec<&'a NodeRecord> {
    let known: BTreeSet<&str> = table.iter().filter_map(addr).collect();
    let is_strange = |node: &&NodeRecord| addr(node).is_some_and(|addr| !known.contains(addr));
    joined.iter().filter(is_strange).collect()
}
