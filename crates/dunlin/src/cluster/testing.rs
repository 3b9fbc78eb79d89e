//! Several nodes in one process, for tests: links are pipes that can be cut, the registry is in memory, and time can be paused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_cluster::{ClusterConfig, MemoryNetwork, Timing};
use dunlin_registry::nodes::key_of;
use dunlin_registry::{Consistency, MemoryRegistry, RegistryError, RegistryExt as _};
use tokio::time::{sleep, timeout};

use crate::app::{App, ConnectError, LocalClient, Node, StartError};

/// How long nodes may take to know each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster inside the process.
///
/// ```
/// use dunlin::{App, Raw, TestCluster};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut cluster = TestCluster::new();
/// cluster.start("backend", App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })).await?;
/// cluster.start("gate", App::new()).await?;
///
/// let client = cluster.connect("gate").await?;
/// assert_eq!(client.request_raw("Echo.ping", "hi").await?, "hi");
/// cluster.kill("backend");
/// assert!(client.request_raw("Echo.ping", "hi").await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestCluster {
    network: MemoryNetwork,
    registry: MemoryRegistry,
    timing: Timing,
    nodes: HashMap<String, (App, Arc<Node>)>,
}

impl Default for TestCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCluster {
    /// A cluster without nodes. To be called on a runtime.
    #[must_use]
    pub fn new() -> Self {
        Self {
            network: MemoryNetwork::new(),
            registry: MemoryRegistry::new(),
            timing: Timing::default(),
            nodes: HashMap::new(),
        }
    }

    /// With other times for the nodes that are started from now on.
    #[must_use]
    pub const fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Starts a node, and waits until all nodes know each other.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, see [`App::start`].
    pub async fn start(&mut self, name: &str, app: App) -> Result<(), StartError> {
        let config = ClusterConfig::new(name, self.network.addr_of(name))
            .registry(self.registry.clone())
            .network(self.network.clone())
            .timing(self.timing);
        let app = app.cluster(config);
        let node = app.local().await?;
        self.nodes.insert(name.to_owned(), (app, node));
        self.settle().await;
        Ok(())
    }

    /// Waits until all nodes that run are linked with each other; not for longer than a minute.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but the wait.
    pub async fn settle(&self) {
        let all_know = || {
            self.nodes.values().all(|(_, node)| {
                let serving = |other: &&Arc<Node>| !Arc::ptr_eq(other, node) && !other.routes().is_empty();
                self.nodes
                    .values()
                    .map(|(_, other)| other)
                    .filter(serving)
                    .all(|other| node.is_linked_with(other))
            })
        };
        let settling = async {
            while !all_know() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // A link that is cut does not come.
        timeout(PATIENCE, settling).await.ok();
    }

    /// A node that runs.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> &Arc<Node> {
        &self.nodes.get(name).expect("a node of this name was started").1
    }

    /// Connects a client to a node.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    ///
    /// # Panics
    ///
    /// When there is no node of this name.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the client is disconnected.
    pub async fn connect(&self, name: &str) -> Result<LocalClient, ConnectError> {
        self.node(name).connect_with(dunlin_wire::ClientConfig::default()).await
    }

    /// Ends a node as a crash does: its connections break, and nobody is told.
    ///
    /// # Panics
    ///
    /// When there is no node of this name.
    pub fn kill(&mut self, name: &str) {
        let (_, node) = self.nodes.remove(name).expect("a node of this name was started");
        node.abort();
    }

    /// Stops a node as a deploy does.
    ///
    /// # Panics
    ///
    /// When there is no node of this name.
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on.
    pub async fn stop(&mut self, name: &str) {
        let (_, node) = self.nodes.remove(name).expect("a node of this name was started");
        node.stop().await;
    }

    /// Lets the registry forget a node, as when it stood still for longer than its lease. It is announced again when it notices.
    ///
    /// # Errors
    ///
    /// [`RegistryError`], when the node has no record.
    ///
    /// # Panics
    ///
    /// When there is no node of this name.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may be forgotten or not.
    pub async fn expire(&self, name: &str) -> Result<(), RegistryError> {
        let key = key_of(self.node(name).cluster_id().unwrap_or_default());
        let record = self.registry.get(key, Consistency::Linearizable).await?;
        self.registry.revoke_lease(record.map_or(0, |record| record.lease)).await
    }

    /// Nothing of what two nodes send arrives at the other any more, as if one stood still.
    pub fn cut(&self, one: &str, other: &str) {
        self.network.cut(one, other);
    }

    /// Nothing of what one node sends arrives at the other any more.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        self.network.cut_one_way(from, to);
    }

    /// Everything arrives again.
    pub fn heal(&self) {
        self.network.heal();
    }
}
