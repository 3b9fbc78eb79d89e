//! How a node of a cluster is set up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dunlin_registry::Registry;
use dunlin_registry::store::Member;

use crate::net::{Network, TcpNetwork};
use crate::tls::TlsConfig;

/// How a node of a cluster is set up.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// The name of the cluster. Nodes of another one are refused. Default `dunlin`.
    pub cluster: String,
    /// What people call this node; the same in each of its lives.
    pub name: String,
    /// Where other nodes reach this one, as `host:port`. Port 0 is a free one.
    pub listen: String,
    /// What other nodes are told of that, as `host:port`. Default: the address that is listened on.
    pub advertise: Option<String>,
    /// What else is to be known of the node, such as its zone or version.
    pub labels: BTreeMap<String, String>,
    /// The first voters: members of the group that keeps the registry, each with its URL, `http://host:port` of its cluster port.
    pub voters: Vec<Member>,
    /// Makes this node one of the voters.
    pub voter: Option<VoterConfig>,
    /// A registry that is none of the voters', such as an etcd cluster, or one in memory for tests.
    pub registry: Option<Arc<dyn Registry>>,
    /// Mutual TLS with all other nodes. Default: plain text, for networks that one trusts.
    pub tls: Option<TlsConfig>,
    /// The address of a Go node of nano, `host:port`, that this node is to be a member of. Default: none.
    pub nano_master: Option<String>,
    /// How often Go nodes of nano say that they live, and this node to its Go master; after four times that silence a Go node is gone. Default 30 s, as theirs.
    pub nano_heartbeat: Duration,
    /// Times.
    pub timing: Timing,
    /// How nodes reach each other. Default: TCP.
    pub network: Arc<dyn Network>,
}

/// What a node has for the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The names of its services.
    pub services: Vec<String>,
    /// Routes of them whose calls may be handled twice.
    pub idempotent_routes: Vec<String>,
    /// Whether clients connect to it.
    pub is_gate: bool,
}

/// What makes a node a voter.
#[derive(Debug, Clone)]
pub struct VoterConfig {
    /// Its id among the voters.
    pub id: u64,
    /// The id of their group; one that joins is told it.
    pub group: u64,
    /// Where its log and its snapshots are.
    pub dir: PathBuf,
    /// Whether a group that runs already takes it: it asks any of the voters that are named. One that has a log goes on from it.
    pub is_joining: bool,
    /// How long a tick of Raft is.
    pub tick: Duration,
}

impl VoterConfig {
    /// One that a group that runs already is to take.
    #[must_use]
    pub const fn joining(mut self) -> Self {
        self.is_joining = true;
        self
    }

    /// A voter with the defaults: group 1, ticks of 100 ms.
    #[must_use]
    pub fn new(id: u64, dir: impl Into<PathBuf>) -> Self {
        Self { id, group: 1, dir: dir.into(), is_joining: false, tick: Duration::from_millis(100) }
    }
}

/// Times of links and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often each end of a link says that it lives. Default 500 ms.
    pub heartbeat: Duration,
    /// After so long a silence a link is dead, and its node avoided. Default 2 s.
    pub silence_max: Duration,
    /// For so long a node whose link broke may come back before its sessions are ended here. Default 1 s.
    pub comeback: Duration,
    /// How long a dead node stays in the registry. Default 5 s.
    pub lease_ttl: Duration,
    /// How long a node that starts waits for the registry. Default 60 s.
    pub join_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(500),
            silence_max: Duration::from_secs(2),
            comeback: Duration::from_secs(1),
            lease_ttl: Duration::from_secs(5),
            join_timeout: Duration::from_secs(60),
        }
    }
}

impl ClusterConfig {
    /// A node with this name, which other nodes reach at `listen` (`host:port`).
    #[must_use]
    pub fn new(name: impl Into<String>, listen: impl Into<String>) -> Self {
        Self {
            cluster: "dunlin".to_owned(),
            name: name.into(),
            listen: listen.into(),
            advertise: None,
            labels: BTreeMap::new(),
            voters: Vec::new(),
            voter: None,
            registry: None,
            tls: None,
            nano_master: None,
            nano_heartbeat: Duration::from_secs(30),
            timing: Timing::default(),
            network: Arc::new(TcpNetwork),
        }
    }

    /// Names the first voters: their ids and URLs, the same for every node.
    #[must_use]
    pub fn voters<'a>(mut self, voters: impl IntoIterator<Item = (u64, &'a str)>) -> Self {
        let member = |(id, url): (u64, &str)| Member { id, urls: vec![url.to_owned()], ..Member::default() };
        self.voters = voters.into_iter().map(member).collect();
        self
    }

    /// Makes this node one of the voters.
    #[must_use]
    pub fn voter(mut self, voter: VoterConfig) -> Self {
        self.voter = Some(voter);
        self
    }

    /// Takes a registry that is none of the voters'.
    #[must_use]
    pub fn registry(mut self, registry: impl Registry) -> Self {
        self.registry = Some(Arc::new(registry));
        self
    }

    /// Makes this node a member of the cluster that a Go node of nano is the master of, at `addr` (`host:port`).
    #[must_use]
    pub fn nano_master(mut self, addr: impl Into<String>) -> Self {
        self.nano_master = Some(addr.into());
        self
    }

    /// Speaks with other nodes over mutual TLS alone.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Takes another network.
    #[must_use]
    pub fn network(mut self, network: impl Network) -> Self {
        self.network = Arc::new(network);
        self
    }

    /// Takes other times.
    #[must_use]
    pub const fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }
}
