//! How an application starts: routes, dictionary and addresses are checked, services are initialised, and then
//! clients are let in. What fails on the way leaves nothing running.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dunlin_cluster::{Cluster, ClusterConfig, Offer};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::builder::Parts;
use super::config::Gate;
use super::node::{Node, NodeParts};
use super::{ShardStats, Shared, Stats};
use crate::cluster::{ClusterHost, offer};
use crate::edge::{
    AcceptGate, BoundListener, EVENTS_MAX, Inbox, Listen, MemoryConnector, MemoryNet, Proxies, ServerTls,
    Shard, ShardHandle, SocketNet, TlsError, bind_shards,
};
use crate::group::Groups;
use crate::service::{BuildError, Lifecycle, Router, StartError as ServiceError};
use crate::session::{SessionIds, Sessions};

/// Stands for "never" where a configured time is too long for the clock.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Why an application did not start.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It was started before.
    #[error("the application was started before")]
    Again,
    /// Its routes do not fit together.
    #[error("the routes do not fit together")]
    Routes(#[from] BuildError),
    /// Its dictionary is not one.
    #[error("the route dictionary cannot be used")]
    Dictionary(#[from] dunlin_wire::DictionaryError),
    /// A service refused to start.
    #[error("a service did not start")]
    Service(#[from] Arc<ServiceError>),
    /// An address could not be bound.
    #[error("the address `{addr}` cannot be served")]
    Bind {
        /// The address.
        addr: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A proxy's address is none.
    #[error("`{range}` is no address and no network of proxies")]
    ProxyRange {
        /// What was said instead.
        range: String,
    },
    /// TLS files are missing or wrong.
    #[error("TLS cannot be served")]
    Tls(#[from] Arc<TlsError>),
    /// It cannot be a node of its cluster.
    #[error("the node cannot join its cluster")]
    Cluster(#[source] dunlin_cluster::StartError),
    /// The system gave no thread or descriptor for a shard.
    #[error("a shard cannot run")]
    Shard(#[source] Arc<io::Error>),
}

impl PartialEq for StartError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// The point in time so far from now, however far that is.
pub(super) fn deadline_in(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or_else(|| now + FOR_EVER)
}

/// Starts an application, on its addresses or inside the process.
pub(super) async fn start(mut parts: Parts, with_sockets: bool) -> Result<Node, StartError> {
    let shard_count = if with_sockets { parts.config.shard_count() } else { 1 };
    let listens = std::mem::take(&mut parts.listens);
    let (start_timeout, stop_timeout) = (parts.config.start_timeout, parts.config.stop_timeout);
    let (cluster, dispatch) = (parts.cluster.take(), std::mem::take(&mut parts.dispatch));
    let descriptors_max = with_sockets.then(raise_descriptor_limit).flatten();
    let gate = AcceptGate::new(parts.config.accept_limits(descriptors_max));
    let Assembled { shared, router, mut lifecycle } = assemble(parts, shard_count)?;
    let (bound, addrs, tls) = if with_sockets { bind_all(&listens, shard_count)? } else { Bound::default() };
    lifecycle.start(deadline_in(start_timeout)).await.map_err(Arc::new)?;
    let host = ClusterHost::new(&shared, &router, dispatch);
    // Nobody has started it before.
    shared.cluster.set(host.clone()).ok();
    if let Some(config) = cluster {
        let offer = offer(&router.infos(), !with_sockets || !listens.is_empty());
        // Boxed, since it is much and most applications stand alone.
        if let Err(error) = Box::pin(join(&config, offer, &host, &shared)).await {
            let deadline = deadline_in(stop_timeout);
            lifecycle.before_shutdown(deadline).await;
            lifecycle.shutdown(deadline).await;
            return Err(StartError::Cluster(error));
        }
    }
    let (ended_sink, ended) = watch::channel(0);
    let ended_sink = Arc::new(ended_sink);
    let router = host.dispatching(router);
    let handles = shard_handles(&shared, &router);
    let (shards, connector) = if with_sockets {
        match run_threads(handles, bound, &gate, &ended_sink).await {
            Ok(shards) => (shards, None),
            Err(source) => {
                for inbox in &shared.inboxes {
                    inbox.stop(Instant::now());
                }
                let deadline = deadline_in(stop_timeout);
                lifecycle.before_shutdown(deadline).await;
                lifecycle.shutdown(deadline).await;
                return Err(StartError::Shard(Arc::new(source)));
            }
        }
    } else {
        let (shards, connector) = run_local(handles, &ended_sink);
        (shards, Some(connector))
    };
    let routes = router.infos();
    let node = Node::new(
        NodeParts { shared, routes, shards, ended, addrs, tls, gate, connector, stop_timeout },
        lifecycle,
    );
    node.watch_tls_files();
    Ok(node)
}

/// Makes the application a node of its cluster.
async fn join(
    config: &ClusterConfig,
    offer: Offer,
    host: &Arc<ClusterHost>,
    shared: &Shared,
) -> Result<(), dunlin_cluster::StartError> {
    let cluster = Cluster::start(config, offer, host.clone()).await?;
    shared.session_ids.set_node(u16::try_from(cluster.record().number).unwrap_or_default());
    host.set_cluster(cluster);
    Ok(())
}

/// An application put together and not yet running.
struct Assembled {
    shared: Arc<Shared>,
    router: Router,
    lifecycle: Lifecycle,
}

fn assemble(mut parts: Parts, shard_count: usize) -> Result<Assembled, StartError> {
    let dictionary = parts.dictionary()?;
    let groups = Groups::new();
    parts.services.call_timeout(parts.config.request_timeout);
    let services = parts.services.build(groups.clone())?;
    let started_at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let shared = Arc::new_cyclic(|weak| {
        groups.set_app(weak.clone());
        Shared {
            gate: Gate::new(&parts.config),
            serializer: services.serializer,
            errors: services.errors,
            push_filters: services.push_filters,
            dictionary,
            validator: parts.validator,
            hooks: parts.hooks,
            pages: parts.pages,
            sessions: Arc::new(Sessions::default()),
            groups,
            session_ids: SessionIds::new(parts.config.node, u64::try_from(started_at_ms).unwrap_or(u64::MAX)),
            cluster: OnceLock::new(),
            stats: Stats::default(),
            inboxes: (0..shard_count).map(|_| Arc::default()).collect(),
            shard_stats: (0..shard_count).map(|_| Arc::default()).collect(),
        }
    });
    Ok(Assembled { shared, router: services.router, lifecycle: services.lifecycle })
}

/// What each shard is known by.
fn shard_handles(shared: &Arc<Shared>, router: &Router) -> Vec<Arc<ShardHandle>> {
    let of_shard = |(index, (inbox, stats)): (usize, (&Arc<Inbox>, &Arc<ShardStats>))| {
        let router = router.for_shard();
        let routes_by_code =
            shared.dictionary.as_ref().map(|dictionary| router.resolve_dictionary(dictionary));
        let routes_by_code = routes_by_code.unwrap_or_default();
        let (inbox, app, stats) = (inbox.clone(), shared.clone(), stats.clone());
        Arc::new(ShardHandle { index, inbox, app, router, routes_by_code, stats })
    };
    shared.inboxes.iter().zip(&shared.shard_stats).enumerate().map(of_shard).collect()
}

type Bound = (Vec<Vec<BoundListener>>, Vec<SocketAddr>, Vec<Arc<ServerTls>>);

/// Binds every address for every shard.
fn bind_all(listens: &[Listen], shard_count: usize) -> Result<Bound, StartError> {
    let mut bound: Vec<Vec<BoundListener>> = (0..shard_count).map(|_| Vec::new()).collect();
    let (mut addrs, mut acceptors) = (Vec::new(), Vec::new());
    for listen in listens {
        let tls = match &listen.tls {
            None => None,
            Some(files) => Some(Arc::new(ServerTls::load(files.clone()).map_err(Arc::new)?)),
        };
        acceptors.extend(tls.clone());
        let proxies = match &*listen.proxies {
            [] => None,
            ranges => {
                let proxies = Proxies::parse(ranges).map_err(|range| StartError::ProxyRange { range })?;
                Some(Arc::new(proxies))
            }
        };
        let bind_error = |source| StartError::Bind { addr: listen.addr.clone(), source: Arc::new(source) };
        let (sockets, addr) = bind_shards(&listen.addr, shard_count).map_err(bind_error)?;
        addrs.push(addr);
        for (shard, socket) in bound.iter_mut().zip(sockets) {
            shard.push(BoundListener { socket, tls: tls.clone(), proxies: proxies.clone() });
        }
    }
    Ok((bound, addrs, acceptors))
}

/// Raises this process's limit on descriptors to what it may have, since each client costs one. Returns it.
fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit on descriptors stays as it was");
        }
    }
    let descriptors_max = getrlimit(Resource::Nofile).current;
    tracing::debug!(?descriptors_max, "descriptors");
    descriptors_max
}

/// Runs each shard on a thread of its own, and waits until all of them serve.
async fn run_threads(
    handles: Vec<Arc<ShardHandle>>,
    bound: Vec<Vec<BoundListener>>,
    gate: &Arc<AcceptGate>,
    ended: &Arc<watch::Sender<usize>>,
) -> io::Result<Vec<oneshot::Receiver<()>>> {
    let mut shards = Vec::new();
    for (handle, listeners) in handles.into_iter().zip(bound) {
        let (done, is_done) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let (gate, ended) = (gate.clone(), ended.clone());
        std::thread::Builder::new().name(format!("dunlin-shard-{}", handle.index)).spawn(move || {
            run_shard(handle, listeners, gate, ready);
            ended.send_modify(|count| *count += 1);
            // Nobody may be waiting any more.
            done.send(()).ok();
        })?;
        is_ready.await.map_err(|_| io::Error::other("the shard's thread ended while it started"))??;
        shards.push(is_done);
    }
    Ok(shards)
}

/// The life of a shard's thread. The runtime and the poll are made here, and what fails is told to whoever starts.
fn run_shard(
    handle: Arc<ShardHandle>,
    listeners: Vec<BoundListener>,
    gate: Arc<AcceptGate>,
    ready: oneshot::Sender<io::Result<()>>,
) {
    let index = handle.index;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        // Who starts may have given up.
        Err(error) => return drop(ready.send(Err(error))),
    };
    let outcome = runtime.block_on(async {
        let net = match SocketNet::new(listeners, gate, EVENTS_MAX) {
            Ok(net) => net,
            Err(error) => {
                drop(ready.send(Err(error)));
                return Ok(());
            }
        };
        drop(ready.send(Ok(())));
        Shard::new(net, handle).run().await
    });
    if let Err(error) = outcome {
        tracing::error!(shard = index, %error, "a shard failed");
    }
}

/// Runs one shard as a task of the current runtime.
fn run_local(
    handles: Vec<Arc<ShardHandle>>,
    ended: &Arc<watch::Sender<usize>>,
) -> (Vec<oneshot::Receiver<()>>, MemoryConnector) {
    let (net, connector) = MemoryNet::new();
    let mut shards = Vec::new();
    if let Some(handle) = handles.into_iter().next() {
        let (done, is_done) = oneshot::channel();
        let ended = ended.clone();
        let shard = Shard::new(net, handle);
        tokio::spawn(async move {
            if let Err(error) = shard.run().await {
                tracing::error!(%error, "the in-process shard failed");
            }
            ended.send_modify(|count| *count += 1);
            // Nobody may be waiting any more.
            done.send(()).ok();
        });
        shards.push(is_done);
    }
    (shards, connector)
}

#[cfg(test)]
impl super::App {
    /// The application as one shard of it sees it, for tests that drive a shard by hand. Services are not started.
    pub(crate) fn into_shard(self) -> Arc<ShardHandle> {
        let parts = self.take_parts().expect("it was not started");
        let Assembled { shared, router, .. } = assemble(parts, 1).expect("it fits together");
        shard_handles(&shared, &router).pop().expect("it has one shard")
    }
}
