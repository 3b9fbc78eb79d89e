//! A node of a cluster: how it starts and ends, and what it knows of the others.
//!
//! Invariants: a node is announced when its port is served, and is up when it has links to all it knew of then; whoever is in the registry and has services
//! is dialed; who is there no more is dialed no more. There are never two peers of one node: who is left is forgotten before a new one is made.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use dunlin_rafthttp::{ClusterId, MemberId, is_near};
use dunlin_registry::grpc::{self, RemoteRegistry};
use dunlin_registry::nodes::{Announced, NodeRecord, NodeRole, NodeState, NodeTable, Nodes};
use dunlin_registry::store::Member;
use dunlin_registry::{Begin, Node as Voter, NodeConfig, Registry, RegistryError};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::config::{ClusterConfig, Offer, VoterConfig};
use crate::error::StartError;
use crate::frame::Hello;
use crate::host::Host;
use crate::limits::{ANNOUNCE_PAUSE, FIRST_LINKS_TIMEOUT, STOP_TIMEOUT};
use crate::link::{Dialer, Guests, Peer, keep, service};
use crate::nano::{self, Nano};
use crate::net::Way;
use crate::port::Port;
use crate::tls::Tls;

/// A node of a cluster. Dropping it ends its links without a word.
#[derive(Debug)]
pub struct Cluster {
    record: NodeRecord,
    registry: Arc<dyn Registry>,
    nodes: Nodes,
    announced: tokio::sync::Mutex<Option<Announced>>,
    directory: Arc<RwLock<Directory>>,
    nano: Nano,
    voter: Option<Voter>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The nodes that this one dials.
#[derive(Debug, Default)]
struct Directory {
    peers: BTreeMap<u64, Arc<Peer>>,
    /// Those that are gone from the registry, and whose links have not ended yet.
    leaving: BTreeMap<u64, Arc<Peer>>,
    by_service: HashMap<String, Arc<[Arc<Peer>]>>,
}

impl Cluster {
    /// Starts a node that has this for the others. It is announced, and linked with the nodes that are there, when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was begun; its record goes with its lease.
    pub async fn start(
        config: &ClusterConfig,
        offer: Offer,
        host: Arc<dyn Host>,
    ) -> Result<Self, StartError> {
        let tls = config.tls.as_ref().map(Tls::load).transpose();
        let tls = tls.map_err(|error| StartError::Tls(Arc::new(error)))?;
        let way = Way { network: config.network.clone(), tls: tls.clone(), from: config.name.clone() };
        let bind_error = |source| StartError::Bind { addr: config.listen.clone(), source: Arc::new(source) };
        let listening = config.network.listen(&config.listen).await.map_err(bind_error)?;
        warn_of_plain_text(config, &listening.addr());
        let record = record(config, offer, &listening.addr());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let stop_guard = stop.clone().drop_guard();
        let (name, cluster) = (record.name.clone(), config.cluster.clone());
        let me = Hello { node: record.id, name, cluster, to: 0 };
        let voter = match &config.voter {
            Some(voter) => Some(start_voter(config, voter, &record, &way).await?),
            None => None,
        };
        let guests = Guests::new(me.clone(), config.timing, host.clone(), (stop.clone(), tasks.clone()));
        let dialer = Dialer { me, timing: config.timing, way: way.clone(), host, stop: stop.clone() };
        let nano = nano(config, &dialer, &record, &tasks);
        let mut routes = Routes::builder();
        routes.add_service(service(guests));
        nano.add_services(&mut routes);
        if let Some(voter) = &voter {
            routes.add_service(grpc::service(voter.registry()));
        }
        let raft = voter.as_ref().map(|voter| voter.transport().clone());
        if let Some(tls) = tls.clone() {
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(tls.follow_files()).await });
        }
        let port = Port { routes: routes.routes(), raft, tls, stop: stop.clone(), tasks: tasks.clone() };
        tasks.spawn(port.serve(listening));

        let registry = registry(config, voter.as_ref(), &way)?;
        let announced = announce(config, &registry, record).await?;
        let nodes = Nodes::watch(registry.clone()).await?;
        let directory = Arc::new(RwLock::new(Directory::default()));
        nano.begin(registry.clone(), nodes.subscribe(), config.nano_master.clone());
        let follower =
            Follower { dialer, directory: directory.clone(), nano: nano.clone(), tasks: tasks.clone() };
        follower.follow(&nodes.table(), &[]);
        wait_for_links(&directory).await;
        tasks.spawn(follower.run(nodes.subscribe()));
        announced.change(|record| record.set_state(NodeState::Up)).await?;
        let announced_record = announced.record();
        stop_guard.disarm();
        Ok(Self {
            record: announced_record,
            registry,
            nodes,
            announced: tokio::sync::Mutex::new(Some(announced)),
            directory,
            nano,
            voter,
            stop,
            tasks,
        })
    }

    /// The id of this life of the node.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.record.id
    }

    /// What was said of the node when it started.
    #[must_use]
    pub const fn record(&self) -> &NodeRecord {
        &self.record
    }

    /// The registry, for what else is to be kept there.
    #[must_use]
    pub fn registry(&self) -> Arc<dyn Registry> {
        self.registry.clone()
    }

    /// The voter that this node is, if it is one.
    #[must_use]
    pub const fn voter(&self) -> Option<&Voter> {
        self.voter.as_ref()
    }

    /// The nodes there are, as the registry has them.
    #[must_use]
    pub fn nodes(&self) -> Arc<NodeTable> {
        self.nodes.table()
    }

    /// The other nodes that have a service, whether they are reached or not.
    #[must_use]
    pub fn peers_with(&self, service: &str) -> Arc<[Arc<Peer>]> {
        self.directory().by_service.get(service).cloned().unwrap_or_default()
    }

    /// Another node that has services.
    #[must_use]
    pub fn peer(&self, id: u64) -> Option<Arc<Peer>> {
        self.directory().peers.get(&id).cloned()
    }

    /// The other nodes that have services.
    #[must_use]
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.directory().peers.values().cloned().collect()
    }

    fn directory(&self) -> std::sync::RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody asks this node to stop, by way of the registry.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the wait.
    pub async fn stop_asked(&self) {
        dunlin_registry::nodes::stop_asked(&self.registry, self.id()).await;
    }

    /// Tells the other nodes to bring nothing new here, and hands leadership away if this node has it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when they are not told yet; they are as soon as they can be.
    ///
    /// # Cancel safety
    ///
    /// As when it fails.
    pub async fn drain(&self) -> Result<(), RegistryError> {
        if let Some(voter) = &self.voter {
            voter.hand_over().await;
        }
        match &*self.announced.lock().await {
            Some(announced) => announced.change(|record| record.set_state(NodeState::Draining)).await,
            None => Ok(()),
        }
    }

    /// Leaves: the record is taken away, links end, a voter stops.
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on.
    pub async fn stop(&self) {
        self.nano.leave().await;
        if let Some(announced) = self.announced.lock().await.take() {
            // Without a quorum nobody hears of it, and the lease ends by itself.
            let left = timeout(STOP_TIMEOUT, announced.withdraw()).await;
            if !matches!(left, Ok(Ok(()))) {
                tracing::warn!("the node's record could not be taken away; it goes with its lease");
            }
        }
        self.stop.cancel();
        self.tasks.close();
        if timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("the node stopped before all of its tasks had");
        }
        if let Some(voter) = &self.voter {
            voter.stop().await;
        }
    }

    /// Ends at once and without a word, as a crash does.
    pub fn abort(&self) {
        self.stop.cancel();
        // Whoever drains or stops at this moment has it, and says what is to be said.
        if let Ok(mut announced) = self.announced.try_lock() {
            announced.take();
        }
        if let Some(voter) = &self.voter {
            voter.abort();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.abort();
    }
}

fn record(config: &ClusterConfig, offer: Offer, addr: &str) -> NodeRecord {
    let Offer { services, idempotent_routes, is_gate } = offer;
    let addr = config.advertise.as_deref().unwrap_or(addr);
    let roles = [
        (NodeRole::Backend, !services.is_empty()),
        (NodeRole::Gate, is_gate),
        (NodeRole::Voter, config.voter.is_some()),
    ];
    let roles = roles.into_iter().filter(|(_, has_it)| *has_it).map(|(role, _)| role.into()).collect();
    NodeRecord {
        id: fastrand::u64(1..),
        name: config.name.clone(),
        urls: vec![format!("{}://{addr}", if config.tls.is_some() { "https" } else { "http" })],
        services,
        labels: config.labels.clone(),
        roles,
        state: NodeState::Joining.into(),
        number: 0,
        idempotent_routes,
    }
}

fn nano(config: &ClusterConfig, dialer: &Dialer, record: &NodeRecord, tasks: &TaskTracker) -> Nano {
    let addr = nano::addr(record).unwrap_or_default().to_owned();
    let (dialer, heartbeat, tasks) = (dialer.clone(), config.nano_heartbeat, tasks.clone());
    Nano::new(nano::Shared { dialer, addr, heartbeat, tasks }, record)
}

async fn start_voter(
    config: &ClusterConfig,
    voter: &VoterConfig,
    record: &NodeRecord,
    way: &Way,
) -> Result<Voter, StartError> {
    let failed = |error| StartError::Voter(Arc::new(error));
    let mut node = NodeConfig::new(MemberId(voter.id), ClusterId(voter.group), &voter.dir);
    node.urls.clone_from(&record.urls);
    node.tick = voter.tick;
    let begin = if !voter.is_joining {
        Begin::Bootstrap(config.voters.clone())
    } else if let Some(known) = NodeConfig::recover(&voter.dir).map_err(failed)? {
        // It has joined before, and was told then which group it is.
        node.cluster = known.cluster;
        Begin::Restart
    } else {
        let me = Member {
            id: voter.id,
            name: record.name.clone(),
            urls: record.urls.clone(),
            ..Member::default()
        };
        let (group, members) = timeout(config.timing.join_timeout, remote(config, way)?.join(&me))
            .await
            .unwrap_or(Err(RegistryError::TimedOut))
            .map_err(StartError::Join)?;
        node.cluster = group;
        Begin::Join(members)
    };
    let set_up = |builder: dunlin_rafthttp::Builder| match &way.tls {
        Some(tls) => builder.tls(tls.raft()),
        None => builder.plain_text(),
    };
    Voter::start(&node, &begin, None, set_up).map_err(failed)
}

/// Without TLS whoever reaches the port is a node.
fn warn_of_plain_text(config: &ClusterConfig, addr: &str) {
    // What is no address of a socket is inside the process.
    let Ok(addr) = addr.parse::<SocketAddr>() else { return };
    if config.tls.is_none() && !is_near(addr.ip()) {
        tracing::warn!(%addr, "other nodes are served in plain text on an address that strangers may reach; set up TLS");
    }
}

/// The voters, to be asked from afar.
fn remote(config: &ClusterConfig, way: &Way) -> Result<RemoteRegistry, StartError> {
    let channels = config.voters.iter().flat_map(|voter| &voter.urls).map(|url| way.lazy_channel(url));
    RemoteRegistry::over(channels).map_err(|error| StartError::Voters(Arc::new(error)))
}

fn registry(
    config: &ClusterConfig,
    voter: Option<&Voter>,
    way: &Way,
) -> Result<Arc<dyn Registry>, StartError> {
    match (&config.registry, voter) {
        (Some(registry), _) => Ok(registry.clone()),
        (None, Some(voter)) => Ok(Arc::new(voter.registry())),
        (None, None) if config.voters.is_empty() => Err(StartError::NoRegistry),
        (None, None) => Ok(Arc::new(remote(config, way)?)),
    }
}

/// Announces the node, as soon as there is a quorum.
async fn announce(
    config: &ClusterConfig,
    registry: &Arc<dyn Registry>,
    record: NodeRecord,
) -> Result<Announced, StartError> {
    let announcing = async {
        loop {
            match Announced::announce(registry.clone(), record.clone(), config.timing.lease_ttl).await {
                Err(dunlin_registry::nodes::AnnounceError::Registry(error)) if error.is_retryable() => {
                    tracing::warn!(%error, "the node waits for the registry");
                    sleep(ANNOUNCE_PAUSE).await;
                }
                done => return done,
            }
        }
    };
    match timeout(config.timing.join_timeout, announcing).await {
        Ok(announced) => Ok(announced?),
        Err(_) => Err(StartError::Announce(RegistryError::NoLeader.into())),
    }
}

async fn wait_for_links(directory: &RwLock<Directory>) {
    let peers: Vec<Arc<Peer>> =
        directory.read().unwrap_or_else(PoisonError::into_inner).peers.values().cloned().collect();
    let all = futures_util::future::join_all(peers.iter().map(|peer| peer.wait_up()));
    if timeout(FIRST_LINKS_TIMEOUT, all).await.is_err() {
        tracing::warn!("not all nodes that the registry knows are reached");
    }
}

/// Dials whoever is in the registry.
#[derive(Clone)]
struct Follower {
    dialer: Dialer,
    directory: Arc<RwLock<Directory>>,
    nano: Nano,
    tasks: TaskTracker,
}

impl Follower {
    async fn run(self, mut nodes: tokio::sync::watch::Receiver<Arc<NodeTable>>) {
        let stop = self.dialer.stop.clone();
        let mut joined = self.nano.joined();
        let following = async {
            loop {
                let (table, strangers) =
                    (nodes.borrow_and_update().clone(), joined.borrow_and_update().clone());
                self.follow(&table, &strangers);
                let is_over = tokio::select! {
                    changed = nodes.changed() => changed.is_err(),
                    changed = joined.changed() => changed.is_err(),
                };
                if is_over {
                    return;
                }
            }
        };
        stop.run_until_cancelled(following).await;
    }

    /// Keeps a link to a node until it is left.
    async fn keep(self, peer: Arc<Peer>) {
        loop {
            keep(&self.dialer, &peer).await;
            if self.leave(&peer) {
                return;
            }
        }
    }

    /// Leaves a node, unless it has come back in this moment.
    fn leave(&self, peer: &Arc<Peer>) -> bool {
        // Held to the end, so that whoever comes back later is a new peer that nobody knew.
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        if !peer.is_gone() && !self.dialer.stop.is_cancelled() {
            return false;
        }
        directory.leaving.remove(&peer.id());
        self.dialer.host.leave(peer);
        true
    }

    /// The nodes in the registry, and the members of a Go master.
    fn follow(&self, table: &NodeTable, joined: &[NodeRecord]) {
        let strangers = nano::strangers(table, joined);
        let nodes = || table.iter().chain(strangers.iter().copied());
        self.nano.follow(nodes());
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let serves = |node: &&NodeRecord| node.id != self.dialer.me.node && !node.services.is_empty();
        for record in nodes().filter(serves) {
            if let Some(peer) = directory.peers.get(&record.id) {
                peer.set_record(record);
            } else if nano::is_nano(record) {
                directory.peers.insert(record.id, self.nano.peer(record));
            } else {
                let peer = match directory.leaving.remove(&record.id) {
                    // It stood still for longer than its lease, and its sessions here are those of before.
                    Some(peer) => {
                        peer.set_record(record);
                        peer.set_gone(false);
                        peer
                    }
                    None => {
                        let peer = Arc::new(Peer::new(record.clone()));
                        self.tasks.spawn(self.clone().keep(peer.clone()));
                        peer
                    }
                };
                directory.peers.insert(record.id, peer);
            }
        }
        // A link of one that is gone lasts until it ends: what is on its way is answered.
        let there: HashSet<u64> = nodes().map(|node| node.id).collect();
        let Directory { peers, leaving, .. } = &mut *directory;
        peers.retain(|id, peer| {
            let stays = there.contains(id);
            if !stays {
                peer.set_gone(true);
                // Who is linked with as a Go node leaves at once.
                if !nano::is_nano(&peer.record()) {
                    leaving.insert(*id, peer.clone());
                }
            }
            stays
        });
        let mut by_service: HashMap<String, Vec<Arc<Peer>>> = HashMap::new();
        for peer in directory.peers.values() {
            for service in &peer.record().services {
                by_service.entry(service.clone()).or_default().push(peer.clone());
            }
        }
        directory.by_service =
            by_service.into_iter().map(|(service, peers)| (service, peers.into())).collect();
    }
}
