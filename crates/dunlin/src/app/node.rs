//! A running application: what can be asked of it, and how it stops.
//!
//! Stopping: no more clients; services are told; running requests finish until a deadline; everybody is disconnected;
//! services shut down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dunlin_wire::ClientConfig;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::local::{ConnectError, LocalClient};
use super::start::{StartError, deadline_in};
use super::{GateStats, Shared};
use crate::cluster::Cluster;
use crate::edge::{AcceptGate, MemoryConnector, ServerTls, TlsError};
use crate::group::Groups;
use crate::service::{AppParts, Lifecycle, RouteInfo};
use crate::session::Sessions;

/// How long shards, and then services, may still take after the deadline of a stop has cut short what was running.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// For so long nothing of other nodes' clients has to come until a node that drains goes on to stop: what was on its way has come by then.
/// What nodes ask by themselves does not count, since some ask all the time.
const DRAIN_QUIET: Duration = Duration::from_millis(300);

/// How often that is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

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
    /// Whether everything that ran was finished before the deadline. If not, it was cut short.
    pub is_clean: bool,
}

/// An application that runs.
pub struct Node {
    parts: NodeParts,
    services: Arc<AppParts>,
    ending: tokio::sync::Mutex<Ending>,
    /// Whether somebody inside of the process asks it to stop, or it does.
    is_stop_asked: watch::Sender<bool>,
}

/// What a node is made of when it has started.
pub(super) struct NodeParts {
    pub(super) shared: Arc<Shared>,
    pub(super) routes: Vec<Arc<RouteInfo>>,
    pub(super) shards: Vec<oneshot::Receiver<()>>,
    pub(super) ended: watch::Receiver<usize>,
    pub(super) addrs: Vec<SocketAddr>,
    pub(super) tls: Vec<Arc<ServerTls>>,
    pub(super) gate: Arc<AcceptGate>,
    pub(super) connector: Option<MemoryConnector>,
    pub(super) stop_timeout: Duration,
}

/// How far a stop is. Whoever stops holds it to the end, so that a second stop waits for the first and a stop that
/// was dropped half-way can be taken up again.
struct Ending {
    lifecycle: Lifecycle,
    shards: Vec<oneshot::Receiver<()>>,
    are_services_told: bool,
    is_clean: bool,
    stopped: Option<Stopped>,
}

impl Node {
    pub(super) fn new(mut parts: NodeParts, lifecycle: Lifecycle) -> Self {
        let shards = std::mem::take(&mut parts.shards);
        let services = lifecycle.parts().clone();
        let ending = Ending { lifecycle, shards, are_services_told: false, is_clean: true, stopped: None };
        let is_stop_asked = watch::Sender::new(false);
        Self { parts, services, ending: tokio::sync::Mutex::new(ending), is_stop_asked }
    }

    pub(super) fn parts(&self) -> &NodeParts {
        &self.parts
    }

    /// Lets [`run_until_signal`](Self::run_until_signal) stop the node, as a signal does.
    pub fn ask_to_stop(&self) {
        self.is_stop_asked.send_replace(true);
    }

    /// Whether the node was asked to stop, or does.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.is_stop_asked.borrow()
    }

    /// The addresses clients are served on, with the ports that were really taken.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.parts.addrs
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> GateStats {
        self.parts.shared.snapshot(self.parts.gate.shed())
    }

    /// The sessions that are bound to a uid.
    #[must_use]
    pub fn sessions(&self) -> Arc<Sessions> {
        self.parts.shared.sessions.clone()
    }

    /// The groups of the application.
    #[must_use]
    pub fn groups(&self) -> Groups {
        self.parts.shared.groups.clone()
    }

    /// The cluster, to call services of any node, and to know the nodes.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster::new(Arc::downgrade(&self.parts.shared))
    }

    /// What is known of the routes.
    #[must_use]
    pub fn routes(&self) -> Vec<Arc<RouteInfo>> {
        self.parts.routes.clone()
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
        let pipe =
            self.parts.connector.as_ref().and_then(MemoryConnector::connect).ok_or(ConnectError::Closed)?;
        LocalClient::connect(pipe, config, self.parts.shared.serializer.clone()).await
    }

    /// Reads all certificate files again; connections that begin from now on use them. This also happens by itself
    /// when the files change.
    ///
    /// # Errors
    ///
    /// [`TlsError`] of the first files that cannot be used; what was in use before stays in use.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.parts.tls.iter().try_for_each(|acceptor| acceptor.reload())
    }

    /// The id of this node in its cluster.
    pub(crate) fn cluster_id(&self) -> Option<u64> {
        self.parts.shared.cluster.get()?.cluster().map(dunlin_cluster::Cluster::id)
    }

    /// Whether this node has a link to another one of its cluster.
    pub(crate) fn is_linked_with(&self, other: &Self) -> bool {
        let Some(host) = self.parts.shared.cluster.get() else { return false };
        host.cluster()
            .zip(other.cluster_id())
            .and_then(|(cluster, id)| cluster.peer(id))
            .is_some_and(|peer| peer.takes_new())
    }

    pub(super) fn watch_tls_files(&self) {
        if self.parts.tls.is_empty() {
            return;
        }
        let (acceptors, mut ended) = (self.parts.tls.clone(), self.parts.ended.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    // The first shard that ends, or the node that is gone.
                    _ = ended.wait_for(|count| *count > 0) => return,
                    () = tokio::time::sleep(dunlin_cluster::files::LOOK_INTERVAL) => {}
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
    /// disconnected, services shut down. A second call waits for the first and returns what it returned.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the stop goes on as far as it was ordered; another call takes it up where it was.
    pub async fn stop(&self) -> Stopped {
        self.is_stop_asked.send_replace(true);
        for inbox in &self.parts.shared.inboxes {
            inbox.stop_accepting();
        }
        let ending = &mut *self.ending.lock().await;
        if let Some(stopped) = ending.stopped {
            return stopped;
        }
        let deadline = deadline_in(self.parts.stop_timeout);
        self.drain(deadline).await;
        if !std::mem::replace(&mut ending.are_services_told, true) {
            ending.lifecycle.before_shutdown(deadline).await;
        }
        self.stop_shards(deadline);
        ending.await_shards(deadline).await;
        ending.is_clean &= self.leave_cluster(deadline).await;
        // Services say goodbye even if requests took all of the time.
        ending.lifecycle.shutdown(deadline.max(deadline_in(LAST_WORDS))).await;
        let stopped = Stopped { is_clean: ending.is_clean };
        ending.stopped = Some(stopped);
        stopped
    }

    /// Stops without waiting for anything: connections, ticks and background tasks end at once, and services are not told.
    pub fn abort(&self) {
        self.is_stop_asked.send_replace(true);
        self.stop_shards(Instant::now());
        self.services.abort();
        if let Some(cluster) = self.parts.shared.cluster.get().and_then(|host| host.cluster()) {
            cluster.abort();
        }
    }

    /// Tells the other nodes to bring nothing new, and waits until nothing of theirs has run for a moment.
    async fn drain(&self, deadline: Instant) {
        let Some(host) = self.parts.shared.cluster.get() else { return };
        let Some(cluster) = host.cluster() else { return };
        let draining = async {
            if let Err(error) = cluster.drain().await {
                tracing::warn!(%error, "the other nodes could not be told that this one drains");
            }
            let mut quiet_since = Instant::now();
            let brought = || self.parts.shared.stats.forwarded_in_of_clients.get();
            let mut taken = brought();
            while quiet_since.elapsed() < DRAIN_QUIET {
                tokio::time::sleep(DRAIN_LOOK).await;
                let now = brought();
                if host.running() > 0 || now != taken {
                    (taken, quiet_since) = (now, Instant::now());
                }
            }
        };
        // What is not over by then is cut short.
        tokio::time::timeout_at(deadline, draining).await.ok();
    }

    /// Leaves the cluster. Whether nothing of other nodes was cut short.
    async fn leave_cluster(&self, deadline: Instant) -> bool {
        let Some(host) = self.parts.shared.cluster.get() else { return true };
        let Some(cluster) = host.cluster() else { return true };
        while host.running() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        let is_clean = host.running() == 0;
        cluster.stop().await;
        host.end_visits();
        is_clean
    }

    /// Waits until somebody asks for a stop, here or by way of the cluster; for those who do not leave that to
    /// [`run_until_signal`](Self::run_until_signal).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the wait.
    pub async fn stop_asked(&self) {
        let mut asked = self.is_stop_asked.subscribe();
        let by_cluster = async {
            match self.parts.shared.cluster.get().and_then(|host| host.cluster()) {
                Some(cluster) => cluster.stop_asked().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // It has the other end itself.
            _ = asked.wait_for(|is_asked| *is_asked) => {}
            () = by_cluster => {}
        }
    }

    fn stop_shards(&self, deadline: Instant) {
        for inbox in &self.parts.shared.inboxes {
            inbox.stop(deadline);
        }
    }

    /// Serves until SIGINT or SIGTERM, or until `dunlin drain` asks for it, then stops; a second signal stops at once.
    ///
    /// # Errors
    ///
    /// [`ServeError`] when signals cannot be listened for, or a shard ended unasked.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the node serves on, and no signal stops it.
    pub async fn run_until_signal(&self) -> Result<(), ServeError> {
        let mut signals = Signals::new().map_err(ServeError::Signals)?;
        let mut ended = self.parts.ended.clone();
        tokio::select! {
            () = signals.next() => {}
            () = self.stop_asked() => tracing::info!("somebody asks this node to stop"),
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

impl Ending {
    /// Waits for the shards, a little longer than they were given, and notes whether they needed that.
    async fn await_shards(&mut self, deadline: Instant) {
        while let Some(shard) = self.shards.last_mut() {
            match tokio::time::timeout_at(deadline, &mut *shard).await {
                Ok(Ok(())) => {}
                // A sender that is gone is a shard that ended by a panic, which its hook has reported.
                Ok(Err(_)) => self.is_clean = false,
                Err(_) => {
                    self.is_clean = false;
                    let patience = deadline.max(deadline_in(LAST_WORDS));
                    if tokio::time::timeout_at(patience, shard).await.is_err() {
                        tracing::error!("a shard does not end: a handler blocks its thread");
                    }
                }
            }
            self.shards.pop();
        }
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
            .field("addrs", &self.parts.addrs)
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
