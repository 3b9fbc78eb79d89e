//! This node as one of many: routes of others are forwarded, and calls that others forward are answered.
//!
//! - `cluster/gate.rs`: our clients' calls to services of other nodes, and what those push to our clients.
//! - `cluster/travellers.rs`: our sessions that other nodes know. `cluster/visits.rs`: where one of them has been.
//! - `cluster/backend.rs`: other nodes' clients here: their sessions, and what is said to their nodes.
//! - `cluster/visitor.rs`: the calls of one such session, in order.
//! - `cluster/calls.rs`: calls that nodes make by themselves.
//! - `cluster/convert.rs`: errors and reasons as frames.
//! - `cluster/testing.rs`: several nodes in one process, for tests.
//!
//! What links are, and who is in the cluster, is the business of `dunlin-cluster`.
//!
//! Invariants: a call that is forwarded has exactly one answer; calls of one session to one service are handled in the order in which they
//! came; a session's end is told once to every node that knows it, and when its node is gone it ends everywhere, once.

mod backend;
mod calls;
mod convert;
mod gate;
mod testing;
mod travellers;
mod visitor;
mod visits;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use dunlin_cluster::core::Policy;
use dunlin_cluster::frame::Frame;
use dunlin_cluster::{Accepted, Cluster as Links, Host, LinkHandler, Offer, Peer};
use dunlin_registry::nodes::{NodeRecord, NodeTable};

pub(crate) use self::backend::GateLink;
pub use self::calls::{CallOptions, Cluster, NodeAnswer};
pub use self::testing::TestCluster;
use self::travellers::Travellers;
pub(crate) use self::visits::{Visit, Visits};
use crate::app::Shared;
use crate::service::{Call, RouteEntry, RouteInfo, Router, service_name};
use crate::session::CloseReason;

/// How calls to a service of other nodes find their node.
#[derive(Clone)]
pub(crate) enum Dispatch {
    /// By a policy; what it hashes is the uid, or else the session's id.
    Policy(Policy),
    /// By the hash of what this gives.
    Key(DispatchKey),
    /// By what this chooses among the nodes that are reached.
    Choice(DispatchChoice),
}

impl Dispatch {
    /// Whether equal keys are to meet, on whichever node that is.
    const fn is_by_key(&self) -> bool {
        matches!(self, Self::Policy(Policy::Hash) | Self::Key(_))
    }
}

pub(crate) type DispatchKey = Arc<dyn Fn(&Call) -> Vec<u8> + Send + Sync>;

pub(crate) type DispatchChoice = Arc<dyn Fn(&Call, &[Arc<NodeRecord>]) -> Option<u64> + Send + Sync>;

/// This node among the others.
pub(crate) struct ClusterHost {
    app: Weak<Shared>,
    router: Router,
    dispatch: HashMap<String, Dispatch>,
    /// Unset in a node that stands alone.
    cluster: OnceLock<Links>,
    /// Nodes whose clients are here.
    gates: Mutex<HashMap<u64, Arc<GateLink>>>,
    travellers: Travellers,
    /// Routes that are forwarded, so that each is made once.
    entries: RwLock<HashMap<Arc<str>, Arc<RouteEntry>>>,
}

/// Routes that are kept although clients can make them up; beyond it they are made anew.
const ENTRIES_MAX: usize = 4_096;

impl ClusterHost {
    pub(crate) fn new(app: &Arc<Shared>, router: &Router, dispatch: HashMap<String, Dispatch>) -> Arc<Self> {
        Arc::new(Self {
            app: Arc::downgrade(app),
            router: router.for_shard(),
            dispatch,
            cluster: OnceLock::new(),
            gates: Mutex::default(),
            travellers: Travellers::default(),
            entries: RwLock::default(),
        })
    }

    /// The routes of this node, of which those whose services are dispatched by a key may lead elsewhere.
    pub(crate) fn dispatching(self: &Arc<Self>, router: Router) -> Router {
        router.with_functions(|info, here| {
            let dispatch = self.dispatch.get(service_name(&info.name))?;
            dispatch.is_by_key().then(|| gate::dispatch_fn(self, here))
        })
    }

    /// The node has started.
    pub(crate) fn set_cluster(&self, cluster: Links) {
        // The only caller has just made it.
        self.cluster.set(cluster).ok();
    }

    pub(crate) fn cluster(&self) -> Option<&Links> {
        self.cluster.get()
    }

    /// The id of this node; 0 when it stands alone.
    pub(crate) fn id(&self) -> u64 {
        self.cluster().map_or(0, Links::id)
    }

    /// The nodes there are.
    pub(crate) fn nodes(&self) -> Arc<NodeTable> {
        self.cluster().map(Links::nodes).unwrap_or_default()
    }

    /// A route that other nodes serve, if any of them has its service.
    pub(crate) fn entry(self: &Arc<Self>, name: &str) -> Option<Arc<RouteEntry>> {
        let cluster = self.cluster()?;
        // All shards look here for each call.
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(entry.clone());
        }
        if cluster.peers_with(service_name(name)).is_empty() {
            return None;
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        let entry = self.router.forwarded(name, gate::forward_fn(self));
        entries.insert(entry.name().clone(), entry.clone());
        Some(entry)
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<u64, Arc<GateLink>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls of other nodes' clients that run or wait here.
    pub(crate) fn running(&self) -> usize {
        self.gates().values().map(|gate| gate.running()).sum()
    }

    /// Sessions of other nodes' clients that are known here.
    pub(crate) fn visitors(&self) -> usize {
        self.gates().values().map(|gate| gate.visitors()).sum()
    }

    /// Sessions of ours that other nodes know.
    pub(crate) fn travellers(&self) -> usize {
        self.travellers.count()
    }

    /// All that other nodes' clients had here ends.
    pub(crate) fn end_visits(&self) {
        let gates: Vec<_> = self.gates().drain().collect();
        for (_, gate) in gates {
            gate.end_all(&CloseReason::GateLost);
        }
    }
}

impl Host for ClusterHost {
    fn accept(&self, link: Arc<Accepted>) -> Box<dyn LinkHandler> {
        let Some(app) = self.app.upgrade() else { return Box::new(Deaf) };
        let gate = self.gates().entry(link.node()).or_insert_with(|| GateLink::new(&link, app)).clone();
        Box::new(backend::Handler::new(gate, link, &self.router))
    }

    fn forget(&self, node: u64) {
        let gate = self.gates().remove(&node);
        if let Some(gate) = gate {
            gate.end_all(&CloseReason::GateLost);
        }
    }

    fn leave(&self, peer: &Peer) {
        self.travellers.leave(peer.id());
    }

    fn alive(&self, peer: &Peer) -> Vec<u64> {
        self.travellers.known_to(peer.id())
    }

    fn handle_peer_frame(&self, peer: &Arc<Peer>, frame: Frame) {
        self.handle_frame_of(peer, frame);
    }
}

/// Takes nothing: the application is gone.
struct Deaf;

impl LinkHandler for Deaf {
    fn handle_frame(&mut self, _frame: Frame) {}
}

/// What a node with these routes has for the others.
pub(crate) fn offer(routes: &[Arc<RouteInfo>], is_gate: bool) -> Offer {
    let mut services: Vec<String> = routes.iter().map(|route| service_name(&route.name).to_owned()).collect();
    services.sort_unstable();
    services.dedup();
    let idempotent = routes.iter().filter(|route| route.is_idempotent);
    Offer { services, idempotent_routes: idempotent.map(|route| route.name.to_string()).collect(), is_gate }
}
