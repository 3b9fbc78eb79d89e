//! What the demo's pages, bots and nodes say to each other.

use dunlin::Event;
use serde::{Deserialize, Serialize};

/// The pond is this wide and this high, whatever a page makes of it.
pub(super) const POND_LEN: u16 = 10_000;

/// A place in the pond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spot {
    pub(super) x: u16,
    pub(super) y: u16,
}

impl Spot {
    /// The nearest place that is in the pond.
    pub(super) fn in_pond(self) -> Self {
        Self { x: self.x.min(POND_LEN), y: self.y.min(POND_LEN) }
    }
}

/// Comes into the pond.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Enter {
    pub(super) at: Spot,
    #[serde(default)]
    pub(super) bot: bool,
}

/// Where somebody came in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entered {
    /// The node that the client is connected to, and so the colour of its tadpole.
    pub(super) node: String,
    /// The tadpole's number among those of the node.
    pub(super) id: u32,
    /// The session, as text: it is larger than the numbers of a browser.
    pub(super) session: String,
}

/// One tadpole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tadpole {
    pub(super) id: u32,
    #[serde(flatten)]
    pub(super) at: Spot,
    pub(super) bot: bool,
}

/// All tadpoles of one node's clients: what nodes tell each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct School {
    pub(super) node: String,
    pub(super) tadpoles: Vec<Tadpole>,
}

/// The whole pond: what clients are told.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event("onPond")]
pub(super) struct Everybody {
    pub(super) schools: Vec<School>,
}

/// A request with a number, one more than that of the request before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) number: u64,
}

/// Which request was written down, and where.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Recorded {
    pub(super) number: u64,
    pub(super) node: String,
}

/// Two nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pair {
    pub(super) one: String,
    pub(super) other: String,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Which {
    pub(super) node: String,
}

/// What became of a button.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) text: String,
}

/// What is sent to a client that is to be too slow for it.
#[derive(Debug, Clone, Serialize, Event)]
#[event("onFlood")]
pub(super) struct Flood {
    pub(super) water: String,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// It comes up: from its directory, if it was there before.
    Starting,
    Up,
    /// It lets nobody in any more, finishes what it has, and sends its clients away.
    Draining,
    Down,
}

/// One node, as the page draws it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NodeLook {
    pub(super) name: String,
    /// Where its clients are served.
    pub(super) port: u16,
    pub(super) phase: Phase,
    pub(super) is_leader: bool,
    pub(super) term: u64,
    pub(super) sessions: u64,
    /// Sessions of other nodes that it knows.
    pub(super) visitors: u64,
    /// Messages of clients and of other nodes in the last second.
    pub(super) rate: u64,
}

/// How two nodes reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LinkPhase {
    Up,
    Cut,
    /// One of the two is not there, or they have not found each other yet.
    Down,
}

/// The link between two nodes, as the page draws it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LinkLook {
    pub(super) one: String,
    pub(super) other: String,
    pub(super) phase: LinkPhase,
    /// The round trip of Raft's probes, smoothed; none before the first.
    pub(super) rtt_ms: Option<f64>,
}

/// What must stay 0, and beside it how much there was that could have gone wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// Requests that had neither answer nor error nor the end of their connection in time.
    pub(super) lost: u64,
    /// Requests that were answered or handled twice.
    pub(super) duplicated: u64,
    /// Requests that a node handled after a later one of the same session.
    pub(super) reordered: u64,
    /// Sessions that a node still knows some seconds after their clients went.
    pub(super) leaked: u64,
    pub(super) answered: u64,
    /// Requests that were answered with an error.
    pub(super) failed: u64,
    /// Requests whose connection ended before their answer.
    pub(super) ended: u64,
}

impl Counters {
    /// Whether all is as it must be.
    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        [self.lost, self.duplicated, self.reordered, self.leaked] == [0; 4]
    }
}

/// Something that happened to the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Happened {
    /// Which event it is, counted from 1.
    pub(super) number: u64,
    /// When, in milliseconds since the demo began.
    pub(super) at_ms: u64,
    pub(super) text: String,
}

/// The cluster at one moment: what pages are told twice a second.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event("onCluster")]
pub(super) struct Snapshot {
    pub(super) leader: Option<String>,
    pub(super) term: u64,
    pub(super) nodes: Vec<NodeLook>,
    pub(super) links: Vec<LinkLook>,
    pub(super) counters: Counters,
    /// What the buttons have begun and what is not over yet.
    pub(super) under_way: Vec<String>,
    /// The last events, the newest last.
    pub(super) events: Vec<Happened>,
    /// Milliseconds since the demo began.
    pub(super) now_ms: u64,
    /// The port of the cluster page, on this machine.
    pub(super) admin_port: Option<u16>,
}
