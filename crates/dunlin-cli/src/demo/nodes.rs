//! The three nodes of the demo: how each starts, ends and comes back, and what it looks like now.
//!
//! A node keeps its name, its ports and its directory in all its lives; all else is new in each.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dunlin::service::{MeterLayer, RateLimit};
use dunlin::{App, ClusterConfig, Node, OriginPolicy, SendQueue, StartError, Timing, VoterConfig, WhenFull};
use dunlin_admin::Admin;
use dunlin_rafthttp::{MemberId, Transport};
use dunlin_registry::State as Voter;

use super::judge::Life;
use super::messages::{LinkPhase, Phase};
use super::network::CutNetwork;

/// The names of the nodes.
pub(super) const NAMES: [&str; 3] = ["n1", "n2", "n3"];

/// Links that are silent for so long are dead. A node that is killed is known at once, one that is cut off by this.
const TIMING: Timing = Timing {
    heartbeat: Duration::from_millis(300),
    silence_max: Duration::from_millis(1_500),
    comeback: Duration::from_secs(1),
    // Longer than a link is cut: a voter that does not reach the leader cannot renew its lease.
    lease_ttl: Duration::from_secs(15),
    join_timeout: Duration::from_secs(30),
};

/// What one client may ask in a second: a page swims and clicks far less often.
const CALLS_PER_SECOND_MAX: u32 = 60;

/// Where nodes are, and what they share.
pub(super) struct Nodes {
    network: CutNetwork,
    dir: PathBuf,
    origin: OriginPolicy,
    /// Shows them all, if it could be had.
    admin: Option<Admin>,
    slots: Vec<Slot>,
}

/// The place of one node.
struct Slot {
    client_addr: SocketAddr,
    cluster_addr: String,
    state: Mutex<SlotState>,
}

struct SlotState {
    phase: Phase,
    life: Life,
    node: Option<Arc<Node>>,
}

impl Nodes {
    /// Places for three nodes, whose clients are served at these addresses.
    ///
    /// # Errors
    ///
    /// When there are no ports for the cluster.
    pub(super) fn new(
        clients: &[SocketAddr],
        dir: PathBuf,
        origin: OriginPolicy,
        admin: Option<Admin>,
    ) -> io::Result<Self> {
        let network = CutNetwork::default();
        let slot = |(name, client_addr): (&&str, &SocketAddr)| {
            let state = SlotState { phase: Phase::Down, life: 0, node: None };
            let cluster_addr = network.keep_addr(name)?;
            Ok(Slot { client_addr: *client_addr, cluster_addr, state: Mutex::new(state) })
        };
        let slots = NAMES.iter().zip(clients).map(slot).collect::<io::Result<_>>()?;
        Ok(Self { network, dir, origin, admin, slots })
    }

    /// Which node has this name.
    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        NAMES.iter().position(|known| *known == name)
    }

    /// Where the cluster page is.
    pub(super) fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::addr)
    }

    /// Where the clients of each are served.
    pub(super) fn client_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.slots.iter().map(|slot| slot.client_addr)
    }

    pub(super) fn phase(&self, index: usize) -> Phase {
        self.lock(index).map_or(Phase::Down, |state| state.phase)
    }

    /// Says what a node does now. One that goes down is given away, to be ended.
    pub(super) fn set_phase(&self, index: usize, phase: Phase) -> Option<Arc<Node>> {
        let mut state = self.lock(index)?;
        state.phase = phase;
        if phase == Phase::Down { state.node.take() } else { state.node.clone() }
    }

    /// The life that begins next.
    pub(super) fn next_life(&self, index: usize) -> Life {
        self.lock(index).map_or(0, |mut state| {
            // Lives of different nodes are different too.
            state.life += 1;
            state.life * 10 + u32::try_from(index).unwrap_or_default()
        })
    }

    /// The life of now, or the last one.
    pub(super) fn life(&self, index: usize) -> Life {
        self.lock(index).map_or(0, |state| state.life * 10 + u32::try_from(index).unwrap_or_default())
    }

    /// A node that runs.
    pub(super) fn node(&self, index: usize) -> Option<Arc<Node>> {
        self.lock(index)?.node.clone()
    }

    /// Starts a node with these services, from its directory if it was there before. It is up when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, see [`App::start`].
    pub(super) async fn start(&self, index: usize, app: App) -> Result<(), StartError> {
        let Some(slot) = self.slots.get(index) else { return Ok(()) };
        let urls: Vec<String> =
            self.slots.iter().map(|slot| format!("http://{}", slot.cluster_addr)).collect();
        let voters = (1..).zip(urls.iter().map(String::as_str));
        let config = ClusterConfig::new(name(index), &slot.cluster_addr)
            .voters(voters)
            .voter(VoterConfig::new(voter_id(index), self.dir.join(name(index))))
            .network(self.network.clone())
            .timing(TIMING);
        let app = limited(app.layer(MeterLayer::new(name(index))), self.origin.clone());
        let app = app.cluster(config).listen(slot.client_addr);
        let node = Arc::new(Box::pin(app.start()).await?);
        if let Some(admin) = &self.admin {
            admin.watch(name(index), &node);
        }
        if let Some(mut state) = self.lock(index) {
            state.phase = Phase::Up;
            state.node = Some(node);
        }
        self.cut_again(index);
        Ok(())
    }

    /// Ends all nodes at once.
    pub(super) fn abort(&self) {
        for index in 0..self.slots.len() {
            if let Some(node) = self.set_phase(index, Phase::Down) {
                node.abort();
            }
        }
    }

    /// Cuts the link of two nodes: what they send each other stays where it is.
    pub(super) fn cut(&self, (one, other): (usize, usize)) {
        self.network.cut(name(one), name(other));
        for (from, to) in [(one, other), (other, one)] {
            self.with_transport(from, |transport| transport.cut(MemberId(voter_id(to))));
        }
    }

    /// Undoes [`cut`](Self::cut).
    pub(super) fn mend(&self, (one, other): (usize, usize)) {
        self.network.mend(name(one), name(other));
        for (from, to) in [(one, other), (other, one)] {
            self.with_transport(from, |transport| transport.mend(MemberId(voter_id(to))));
        }
    }

    /// A transport that has just begun knows of no cut.
    fn cut_again(&self, index: usize) {
        for other in (0..self.slots.len()).filter(|other| *other != index) {
            if self.network.is_cut(name(index), name(other)) {
                self.cut((index, other));
            }
        }
    }

    /// How two nodes reach each other, and how long that takes there and back.
    pub(super) fn link(&self, (one, other): (usize, usize)) -> (LinkPhase, Option<Duration>) {
        let is_up = self.is_linked(one, other) && self.is_linked(other, one);
        let phase = match is_up {
            _ if self.network.is_cut(name(one), name(other)) => LinkPhase::Cut,
            true => LinkPhase::Up,
            false => LinkPhase::Down,
        };
        let probed = |from, to| {
            let look = self.with_transport(from, |transport| transport.probed(MemberId(voter_id(to))));
            look.flatten().and_then(|look| look.round_trip)
        };
        (phase, probed(one, other).or_else(|| probed(other, one)).filter(|_| phase == LinkPhase::Up))
    }

    /// Whether a node has a link to another one's life of now.
    fn is_linked(&self, from: usize, to: usize) -> bool {
        let linked = |node: &Node| {
            node.with_links(|links| {
                links.peers().iter().any(|peer| peer.is_up() && peer.record().name == name(to))
            })
        };
        self.node(from).and_then(|node| linked(&node)).unwrap_or_default()
    }

    /// What a node knows of Raft.
    pub(super) fn voter(&self, index: usize) -> Option<Voter> {
        self.node(index)?.with_links(|links| Some(links.voter()?.state().borrow().clone()))?
    }

    fn with_transport<R>(&self, index: usize, act: impl FnOnce(&Transport) -> R) -> Option<R> {
        self.node(index)?.with_links(|links| links.voter().map(|voter| act(voter.transport())))?
    }

    fn lock(&self, index: usize) -> Option<MutexGuard<'_, SlotState>> {
        Some(self.slots.get(index)?.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The name of a node.
pub(super) fn name(index: usize) -> &'static str {
    NAMES.get(index).copied().unwrap_or_default()
}

/// Members are counted from 1.
const fn voter_id(index: usize) -> u64 {
    index as u64 + 1
}

/// What all nodes of the demo take and do not take.
fn limited(app: App, origin: OriginPolicy) -> App {
    app.layer(RateLimit::per_session(CALLS_PER_SECOND_MAX, Duration::from_secs(1))).configure(|gate| {
        gate.shards = 1;
        gate.heartbeat_interval = Duration::from_secs(5);
        gate.request_timeout = Duration::from_secs(5);
        gate.stop_timeout = Duration::from_secs(4);
        gate.drain_window = Duration::from_secs(1);
        // Some seconds of the pond: who is so far behind had better come again.
        gate.send_queue =
            SendQueue { bytes_max: 512 * 1024, packets_max: 256, when_full: WhenFull::Disconnect };
        gate.origin = origin;
    })
}
