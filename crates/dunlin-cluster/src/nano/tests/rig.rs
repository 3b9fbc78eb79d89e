//! Nodes of dunlin: each answers calls with what they bring, and notes what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_registry::MemoryRegistry;
use tokio::time::{Instant, sleep, timeout};

use crate::frame::{Answer, Call, Frame, Outcome, Refusal, Reply, Said};
use crate::{Accepted, Cluster, ClusterConfig, Host, LinkHandler, MemoryNetwork, Offer, Peer};

pub(super) struct Rig {
    pub(super) network: MemoryNetwork,
    registry: MemoryRegistry,
}

pub(super) struct Node {
    pub(super) cluster: Cluster,
    pub(super) notes: Arc<Notes>,
}

#[derive(Default)]
pub(super) struct Notes {
    /// What gates have said.
    pub(super) frames: Mutex<Vec<Said>>,
    pub(super) peer_frames: Mutex<Vec<Said>>,
    pub(super) forgotten: Mutex<Vec<(u64, Instant)>>,
    pub(super) links: Mutex<Vec<Arc<Accepted>>>,
    pub(super) alive: Mutex<Vec<u64>>,
}

pub(super) struct NotingHost(pub(super) Arc<Notes>);

struct Echo(Arc<Notes>, Arc<Accepted>);

impl Host for NotingHost {
    fn accept(&self, link: Arc<Accepted>) -> Box<dyn LinkHandler> {
        self.0.links.lock().unwrap().push(link.clone());
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
        self.0.peer_frames.lock().unwrap().extend(frame.said);
    }
}

impl LinkHandler for Echo {
    fn handle_frame(&mut self, frame: Frame) {
        let Some(said) = frame.said else { return };
        if let Said::Call(Call { id, route, body, .. }) = &said {
            let outcome = match &**route {
                "Room.echo" => Some(Outcome::Reply(Reply { body: body.clone(), is_text: false })),
                "Room.refuse" => Some(Outcome::Refusal(Refusal {
                    code: 418,
                    message: "no".to_owned(),
                    details: String::new(),
                })),
                _ => None,
            };
            if let (Some(outcome), 1..) = (outcome, *id) {
                self.1.send(Answer { id: *id, outcome: Some(outcome) }).ok();
            }
        }
        self.0.frames.lock().unwrap().push(said);
    }
}

impl Notes {
    /// Sessions of gates in the order of their first calls.
    pub(super) fn sessions(&self) -> Vec<u64> {
        let mut sessions = Vec::new();
        for said in &*self.frames.lock().unwrap() {
            if let Said::Call(call) = said
                && !sessions.contains(&call.session)
            {
                sessions.push(call.session);
            }
        }
        sessions
    }

    pub(super) async fn link(&self) -> Arc<Accepted> {
        until(|| self.links.lock().unwrap().last().cloned()).await
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_test_writer().with_env_filter(filter).try_init().ok();
        Self { network: MemoryNetwork::new(), registry: MemoryRegistry::new() }
    }

    pub(super) fn config(&self, name: &str) -> ClusterConfig {
        ClusterConfig::new(name, self.network.addr_of(name))
            .registry(self.registry.clone())
            .network(self.network.clone())
    }

    pub(super) async fn node(&self, name: &str, services: &[&str]) -> Node {
        self.start(&self.config(name), services).await
    }

    pub(super) async fn start(&self, config: &ClusterConfig, services: &[&str]) -> Node {
        let notes = Arc::new(Notes::default());
        let services = services.iter().map(|service| (*service).to_owned()).collect();
        let host = Arc::new(NotingHost(notes.clone()));
        let cluster = Cluster::start(config, Offer { services, ..Offer::default() }, host).await.unwrap();
        Node { cluster, notes }
    }
}

impl Node {
    pub(super) fn addr(&self) -> String {
        self.cluster.record().urls[0].trim_start_matches("http://").to_owned()
    }

    /// The only node that has a service, once it is reached.
    pub(super) async fn peer_with(&self, service: &str) -> Arc<Peer> {
        let peer = until(|| self.cluster.peers_with(service).first().cloned()).await;
        timeout(Duration::from_secs(60), peer.wait_up()).await.unwrap();
        peer
    }
}

pub(super) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.unwrap()
}
