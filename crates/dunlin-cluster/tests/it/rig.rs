//! Nodes for tests: each answers calls with what they bring, and notes what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_cluster::frame::{Answer, Call, Frame, Outcome, Reply, Said};
use dunlin_cluster::{
    Accepted, Cluster, ClusterConfig, Host, LinkHandler, MemoryNetwork, Offer, Peer, StartError,
};
use dunlin_registry::MemoryRegistry;
use tokio::time::{Instant, timeout};

pub(crate) struct Rig {
    pub(crate) network: MemoryNetwork,
    pub(crate) registry: MemoryRegistry,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) notes: Arc<Notes>,
}

/// What a node was told, and what it says.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) frames: Mutex<Vec<Said>>,
    pub(crate) forgotten: Mutex<Vec<(u64, Instant)>>,
    pub(crate) alive: Mutex<Vec<u64>>,
}

struct EchoHost(Arc<Notes>);

struct Echo(Arc<Notes>, Arc<Accepted>);

impl Host for EchoHost {
    fn accept(&self, link: Arc<Accepted>) -> Box<dyn LinkHandler> {
        Box::new(Echo(self.0.clone(), link))
    }

    fn forget(&self, node: u64) {
        self.0.forgotten.lock().unwrap().push((node, Instant::now()));
    }

    fn leave(&self, _peer: &Peer) {}

    fn alive(&self, _peer: &Peer) -> Vec<u64> {
        self.0.alive.lock().unwrap().clone()
    }

    fn handle_peer_frame(&self, _peer: &Arc<Peer>, frame: Frame) {
        self.0.frames.lock().unwrap().extend(frame.said);
    }
}

impl LinkHandler for Echo {
    fn handle_frame(&mut self, frame: Frame) {
        let Some(said) = frame.said else { return };
        if let Said::Call(Call { id, route, body, .. }) = &said
            && route != "Echo.never"
        {
            let outcome = Some(Outcome::Reply(Reply { body: body.clone(), is_text: false }));
            self.1.send(Answer { id: *id, outcome }).ok();
        }
        self.0.frames.lock().unwrap().push(said);
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_test_writer().with_env_filter(filter).try_init().ok();
        Self { network: MemoryNetwork::new(), registry: MemoryRegistry::new() }
    }

    pub(crate) fn config(&self, name: &str) -> ClusterConfig {
        ClusterConfig::new(name, self.network.addr_of(name))
            .registry(self.registry.clone())
            .network(self.network.clone())
    }

    pub(crate) async fn node(&self, name: &str, services: &[&str]) -> Node {
        self.start(&self.config(name), services).await
    }

    pub(crate) async fn start(&self, config: &ClusterConfig, services: &[&str]) -> Node {
        self.try_start(config, services).await.unwrap()
    }

    pub(crate) async fn try_start(
        &self,
        config: &ClusterConfig,
        services: &[&str],
    ) -> Result<Node, StartError> {
        let notes = Arc::new(Notes::default());
        let services = services.iter().map(|service| (*service).to_owned()).collect();
        let host = Arc::new(EchoHost(notes.clone()));
        let offer = Offer { services, ..Offer::default() };
        let cluster = Cluster::start(config, offer, host).await?;
        Ok(Node { cluster, notes })
    }
}

impl Node {
    /// The other node, once it is linked.
    pub(crate) async fn peer(&self, other: &Self) -> Arc<Peer> {
        let id = other.cluster.id();
        let peer = until(|| self.cluster.peer(id)).await;
        timeout(Duration::from_secs(60), peer.wait_up()).await.unwrap();
        peer
    }
}

pub(crate) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.unwrap()
}
