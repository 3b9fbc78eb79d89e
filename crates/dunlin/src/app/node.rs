//! A running application: its shards, how it starts and how it stops.
//!
//! Starting: routes, dictionary and addresses are checked; services are initialised; then clients are let in.
//! Stopping: no more clients; services are told; running requests finish until a deadline; everybody is disconnected;
//! services shut down.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dunlin_wire::ClientConfig;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::builder::Parts;
use super::config::Gate;
use super::local::{ConnectError, LocalClient};
use super::{GateStats, ShardStats, Shared, Stats};
use crate::edge::{
    AcceptGate, BoundListener, EVENTS_MAX, Inbox, Listen, MemoryConnector, MemoryNet, Shard, ShardHandle,
    SocketNet, TlsAcceptor, TlsError, bind_shards,
};
use crate::group::Groups;
use crate::service::{BuildError, Lifecycle, RouteInfo, Router, StartError as ServiceError};
use crate::session::{SessionIds, Sessions};

/// How often certificate files are looked at.
const TLS_CHECK_INTERVAL: Duration = Duration::from_secs(30);

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
    /// TLS files are missing or wrong.
    #[error("TLS cannot be served")]
    Tls(#[from] Arc<TlsError>),
    /// The system gave no thread or descriptor for a shard.
    #[error("a shard cannot run")]
    Shard(#[source] Arc<io::Error>),
}

impl PartialEq for StartError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// Why serving ended other than by a signal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
    /// A shard ended that was not told to.
    #[error("a shard ended unasked")]
    ShardEnded,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Whether every shard ended by itself before the deadline.
    pub is_clean: bool,
}

/// An application that runs.
pub struct Node {
    shared: Arc<Shared>,
    routes: Vec<Arc<RouteInfo>>,
    lifecycle: tokio::sync::Mutex<Option<Lifecycle>>,
    shards: Mutex<Vec<oneshot::Receiver<()>>>,
    ended: watch::Receiver<usize>,
    addrs: Vec<SocketAddr>,
    tls: Vec<Arc<TlsAcceptor>>,
    gate: Arc<AcceptGate>,
    connector: Option<MemoryConnector>,
    stop_timeout: Duration,
    is_stopping: AtomicBool,
}

/// Starts an application, on its addresses or inside the process.
pub(super) async fn start(mut parts: Parts, with_sockets: bool) -> Result<Node, StartError> {
    let shard_count = if with_sockets { parts.config.shard_count() } else { 1 };
    let dictionary = parts.dictionary()?;
    let groups = Groups::new();
    parts.services.call_timeout(parts.config.request_timeout);
    let services = parts.services.build(groups.clone())?;
    let (bound, addrs, tls) =
        if with_sockets { bind_all(&parts.listens, shard_count)? } else { Bound::default() };
    let started_at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let stop_timeout = parts.config.stop_timeout;
    let gate = AcceptGate::new(parts.config.accept_limits());
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
            stats: Stats::default(),
            inboxes: (0..shard_count).map(|_| Arc::default()).collect(),
            shards: OnceLock::new(),
        }
    });
    let (router, mut lifecycle) = (services.router, services.lifecycle);
    lifecycle.start(Instant::now() + parts.config.start_timeout).await.map_err(Arc::new)?;
    let handles: Vec<_> = shared
        .inboxes
        .iter()
        .enumerate()
        .map(|(index, inbox)| shard_handle(index, inbox, &shared, router.for_shard()))
        .collect();
    // Set once, here.
    shared.shards.set(handles.iter().map(Arc::downgrade).collect()).ok();
    let (ended_sink, ended) = watch::channel(0);
    let ended_sink = Arc::new(ended_sink);
    let (shards, connector) = if with_sockets {
        (run_threads(handles, bound, &gate, &ended_sink)?, None)
    } else {
        let (shards, connector) = run_local(handles, &ended_sink);
        (shards, Some(connector))
    };
    let node = Node {
        shared,
        routes: router.infos(),
        lifecycle: tokio::sync::Mutex::new(Some(lifecycle)),
        shards: Mutex::new(shards),
        ended,
        addrs,
        tls,
        gate,
        connector,
        stop_timeout,
        is_stopping: AtomicBool::new(false),
    };
    node.watch_tls_files();
    Ok(node)
}

fn shard_handle(index: usize, inbox: &Arc<Inbox>, shared: &Arc<Shared>, router: Router) -> Arc<ShardHandle> {
    let routes_by_code = shared.dictionary.as_ref().map(|dictionary| router.resolve_dictionary(dictionary));
    let routes_by_code = routes_by_code.unwrap_or_default();
    let (inbox, app) = (inbox.clone(), shared.clone());
    Arc::new(ShardHandle { index, inbox, app, router, routes_by_code, stats: ShardStats::default() })
}

type Bound = (Vec<Vec<BoundListener>>, Vec<SocketAddr>, Vec<Arc<TlsAcceptor>>);

/// Binds every address for every shard.
fn bind_all(listens: &[Listen], shard_count: usize) -> Result<Bound, StartError> {
    raise_descriptor_limit();
    let mut bound: Vec<Vec<BoundListener>> = (0..shard_count).map(|_| Vec::new()).collect();
    let (mut addrs, mut acceptors) = (Vec::new(), Vec::new());
    for listen in listens {
        let tls = match &listen.tls {
            None => None,
            Some(files) => Some(Arc::new(TlsAcceptor::load(files.clone()).map_err(Arc::new)?)),
        };
        acceptors.extend(tls.clone());
        let bind_error = |source| StartError::Bind { addr: listen.addr.clone(), source: Arc::new(source) };
        let (sockets, addr) = bind_shards(&listen.addr, shard_count).map_err(bind_error)?;
        addrs.push(addr);
        for (shard, socket) in bound.iter_mut().zip(sockets) {
            shard.push(BoundListener { socket, tls: tls.clone() });
        }
    }
    Ok((bound, addrs, acceptors))
}

/// Raises this process's limit on descriptors to what it may have: each client costs one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit on descriptors stays as it was");
        }
    }
    tracing::debug!(descriptors_max = ?getrlimit(Resource::Nofile).current, "descriptors");
}

/// Runs each shard on a thread of its own.
fn run_threads(
    handles: Vec<Arc<ShardHandle>>,
    bound: Vec<Vec<BoundListener>>,
    gate: &Arc<AcceptGate>,
    ended: &Arc<watch::Sender<usize>>,
) -> Result<Vec<oneshot::Receiver<()>>, StartError> {
    let mut shards = Vec::new();
    for (handle, listeners) in handles.into_iter().zip(bound) {
        let (done, is_done) = oneshot::channel();
        let (gate, ended) = (gate.clone(), ended.clone());
        let index = handle.index;
        // The runtime and the poll are made here, so that what fails is told to whoever starts.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| StartError::Shard(Arc::new(source)))?;
        let net = {
            let _within = runtime.enter();
            SocketNet::new(listeners, gate, EVENTS_MAX)
                .map_err(|source| StartError::Shard(Arc::new(source)))?
        };
        std::thread::Builder::new()
            .name(format!("dunlin-shard-{index}"))
            .spawn(move || {
                let outcome = runtime.block_on(async { Shard::new(net, handle).run().await });
                if let Err(error) = outcome {
                    tracing::error!(shard = index, %error, "a shard failed");
                }
                drop(runtime);
                ended.send_modify(|count| *count += 1);
                // Nobody may be waiting any more.
                done.send(()).ok();
            })
            .map_err(|source| StartError::Shard(Arc::new(source)))?;
        shards.push(is_done);
    }
    Ok(shards)
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

impl Node {
    /// The addresses clients are served on, with the ports that were really taken.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> GateStats {
        self.shared.snapshot(self.gate.shed())
    }

    /// The sessions that are bound to a uid.
    #[must_use]
    pub fn sessions(&self) -> Arc<Sessions> {
        self.shared.sessions.clone()
    }

    /// The groups of the application.
    #[must_use]
    pub fn groups(&self) -> Groups {
        self.shared.groups.clone()
    }

    /// What is known of the routes.
    #[must_use]
    pub fn routes(&self) -> Vec<Arc<RouteInfo>> {
        self.routes.clone()
    }

    /// Connects a client inside the process; only for an application started by [`App::local`](crate::App::local).
    ///
    /// # Errors
    ///
    /// [`ConnectError`] when the client is refused, or the application serves sockets or is stopping.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the client is disconnected.
    pub async fn connect_with(&self, config: ClientConfig) -> Result<LocalClient, ConnectError> {
        let pipe = self.connector.as_ref().and_then(MemoryConnector::connect).ok_or(ConnectError::Closed)?;
        LocalClient::connect(pipe, config, self.shared.serializer.clone()).await
    }

    /// Reads all certificate files again; connections that begin from now on use them. This also happens by itself
    /// when the files change.
    ///
    /// # Errors
    ///
    /// [`TlsError`] of the first files that cannot be used; what was in use before stays in use.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.tls.iter().try_for_each(|acceptor| acceptor.reload())
    }

    fn watch_tls_files(&self) {
        if self.tls.is_empty() {
            return;
        }
        let (acceptors, mut ended) = (self.tls.clone(), self.ended.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    // The first shard that ends, or the node that is gone.
                    _ = ended.wait_for(|count| *count > 0) => return,
                    () = tokio::time::sleep(TLS_CHECK_INTERVAL) => {}
                }
                for acceptor in acceptors.iter().filter(|acceptor| acceptor.is_stale()) {
                    match acceptor.reload() {
                        Ok(()) => tracing::info!("certificate files changed and were read again"),
                        Err(error) => tracing::error!(%error, "changed certificate files cannot be used"),
                    }
                }
            }
        });
    }

    /// Stops: no more clients, services are told, running requests finish within the configured time, everybody is
    /// disconnected, services shut down. A second call changes nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the stop goes on as far as shards are concerned; services may miss their shutdown.
    pub async fn stop(&self) -> Stopped {
        self.is_stopping.store(true, Ordering::Release);
        let deadline = Instant::now() + self.stop_timeout;
        for inbox in &self.shared.inboxes {
            inbox.stop_accepting();
        }
        let lifecycle = self.lifecycle.lock().await.take();
        let mut lifecycle = lifecycle;
        if let Some(lifecycle) = lifecycle.as_mut() {
            lifecycle.before_shutdown(deadline).await;
        }
        self.stop_shards(deadline);
        let is_clean = self.shards_ended(deadline).await;
        if let Some(mut lifecycle) = lifecycle {
            lifecycle.shutdown(deadline).await;
        }
        Stopped { is_clean }
    }

    /// Stops without waiting for anything: connections end at once.
    pub fn abort(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.stop_shards(Instant::now());
    }

    fn stop_shards(&self, deadline: Instant) {
        for inbox in &self.shared.inboxes {
            inbox.stop(deadline);
        }
    }

    /// Waits for the shards, a little longer than they were given.
    async fn shards_ended(&self, deadline: Instant) -> bool {
        let shards = std::mem::take(&mut *self.shards.lock().unwrap_or_else(PoisonError::into_inner));
        let patience = deadline + Duration::from_secs(1);
        let mut is_clean = true;
        for shard in shards {
            // A sender that is gone is a shard that ended by a panic, which its hook has reported.
            is_clean &= matches!(tokio::time::timeout_at(patience, shard).await, Ok(Ok(())));
        }
        is_clean
    }

    /// Serves until SIGINT or SIGTERM, then stops; a second signal stops at once.
    ///
    /// # Errors
    ///
    /// [`ServeError`] when signals cannot be listened for, or a shard ended unasked.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes all connections at once and runs no shutdown of services.
    pub async fn run_until_signal(self) -> Result<(), ServeError> {
        let mut signals = Signals::new().map_err(ServeError::Signals)?;
        let mut ended = self.ended.clone();
        tokio::select! {
            () = signals.next() => {}
            _ = ended.wait_for(|count| *count > 0) => {
                self.stop().await;
                return Err(ServeError::ShardEnded);
            }
        }
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            stopped = self.stop() => tracing::info!(is_clean = stopped.is_clean, "stopped"),
            () = signals.next() => {
                tracing::warn!("stopped at once by a second signal");
                self.abort();
            }
        }
        Ok(())
    }
}

impl Drop for Node {
    /// A node that is dropped without a stop still ends its shards and connections.
    fn drop(&mut self) {
        self.abort();
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("addrs", &self.addrs)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
