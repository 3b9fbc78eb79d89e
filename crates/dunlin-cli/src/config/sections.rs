//! Every setting of a node with its default. What is said of a field here is what the table in the documents says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dunlin::{ClusterConfig, GateConfig, VoterConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Limit, Size, Time};
use crate::logs;

/// A node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The node itself.
    pub(crate) node: NodeSection,
    /// Its clients.
    pub(crate) clients: ClientsSection,
    /// Its cluster.
    pub(crate) cluster: ClusterSection,
    /// The port of whoever runs it.
    pub(crate) admin: AdminSection,
    /// What it logs.
    pub(crate) log: LogSection,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeSection {
    /// What people call it; the same in each of its lives. The machine's host name unless set.
    pub(crate) name: Option<String>,
    /// Which of the program's services the node has, by name. All unless set.
    pub(crate) services: Option<Vec<String>>,
    /// How long services may take to start.
    pub(crate) start_timeout: Time,
    /// How long running requests and services may take when it stops.
    pub(crate) stop_timeout: Time,
    /// Threads with clients of their own; 0 is one for each core.
    pub(crate) shards: usize,
    /// Threads for everything else, such as links and voters; 0 is one for every two cores, since each core has a shard.
    pub(crate) workers: usize,
}

/// Its clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientsSection {
    /// Where clients connect, `host:port`, over WebSocket or TCP on the same port; several may be given. Without one the node is no gate.
    pub(crate) listen: Vec<String>,
    /// PEM files for clients that come over TLS. Read again when they change.
    pub(crate) tls: Option<TlsSection>,
    /// How often a heartbeat is sent; a client unheard of for two and a half is closed.
    pub(crate) heartbeat_interval: Time,
    /// First byte, upgrade, handshake and acknowledgement together.
    pub(crate) handshake_timeout: Time,
    /// How long a handler may take before its request is answered with a timeout.
    pub(crate) request_timeout: Time,
    /// How long a socket may take nothing of what waits for it.
    pub(crate) write_timeout: Time,
    /// How long a connection that was ended may take to go.
    pub(crate) linger: Time,
    /// Over how long clients are told to go when the node stops.
    pub(crate) drain_window: Time,
    /// The longest packet body taken.
    pub(crate) packet_body_in_max: Size,
    /// The longest packet body sent.
    pub(crate) packet_body_out_max: Size,
    /// The longest body after inflating a compressed one.
    pub(crate) inflated_len_max: Size,
    /// Bodies from this length on are compressed for clients that take it. Never unless set.
    pub(crate) compress_from: Option<Size>,
    /// Messages of one session that may be started or waiting; beyond it the client is not read.
    pub(crate) unanswered_max: u16,
    /// Bytes that may wait to be sent to one client.
    pub(crate) send_queue_bytes_max: u32,
    /// Packets that may wait to be sent to one client.
    pub(crate) send_queue_packets_max: u32,
    /// What happens to a push for which there is no room.
    pub(crate) send_queue_when_full: WhenFull,
    /// The only path WebSockets are taken at. Every path unless set.
    pub(crate) websocket_path: Option<String>,
    /// Origins of pages that may open WebSockets, such as `https://game.example`, or `*` for all. Empty: those served by the same host.
    pub(crate) origins: Vec<String>,
    /// Connections in total. As many as there are descriptors, less some, unless set.
    pub(crate) connections_max: Option<usize>,
    /// Connections from one address of the internet; a /64 of IPv6 counts as one.
    pub(crate) connections_per_address_max: Limit,
    /// The same for one address of this machine or of a private network, where proxies are.
    pub(crate) connections_per_private_address_max: Limit,
    /// Connections accepted in one second.
    pub(crate) accepts_per_second_max: Limit,
    /// Messages of one connection in one second; one that sends more is read no faster, and closed when it goes on for ten seconds.
    pub(crate) messages_per_second_max: Limit,
    /// Messages of one connection at once before that.
    pub(crate) messages_burst_max: u32,
    /// Calls of one session in one second; beyond it requests are answered with code 429 and notifies dropped. Can be changed while the node runs.
    pub(crate) calls_per_second_max: Limit,
    /// Addresses and networks of proxies, such as `10.0.0.0/8`, that say by the PROXY protocol, version 2, who their clients are. With any, nobody else is served.
    pub(crate) proxies: Vec<String>,
    /// Lets in only clients with a token. Needs a program built with the feature `jwt`.
    pub(crate) jwt: Option<JwtSection>,
}

/// What happens to a push for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WhenFull {
    Disconnect,
    DropOldest,
    DropNewest,
    Coalesce,
}

/// PEM files for clients that come over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSection {
    /// The certificate chain, its own first.
    pub(crate) certificate: PathBuf,
    /// The private key.
    pub(crate) key: PathBuf,
}

/// Lets in only clients with a token, a JSON Web Token that somebody else has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtSection {
    /// The keys: a set in JSON (JWKS), a PEM file, or a folder of PEM files by their `kid`. Read again when they change.
    pub(crate) keys: PathBuf,
    /// Which signatures are taken, such as `ES256`. `RS256`, `ES256` and `EdDSA` unless set.
    #[serde(default)]
    pub(crate) algorithms: Vec<String>,
    /// Who may have issued it. Anybody with a key unless set.
    #[serde(default)]
    pub(crate) issuers: Vec<String>,
    /// For whom it is. For anybody unless set.
    #[serde(default)]
    pub(crate) audiences: Vec<String>,
    /// Where in `user` of the handshake it is, such as `token` or `auth.token`. `token` unless set.
    #[serde(default)]
    pub(crate) token_at: Option<String>,
    /// The claim that is the uid. `sub` unless set.
    #[serde(default)]
    pub(crate) uid_claim: Option<String>,
}

/// Its cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClusterSection {
    /// Where other nodes reach it, `host:port`. Without it the node stands alone.
    pub(crate) listen: Option<String>,
    /// What other nodes are told of that. What it listens on unless set.
    pub(crate) advertise: Option<String>,
    /// The name of the cluster; nodes of another one are refused.
    pub(crate) name: String,
    /// The first voters by their ids, with the URLs of their cluster ports; the same for every node.
    pub(crate) voters: BTreeMap<String, String>,
    /// What else is to be known of the node, such as its zone.
    pub(crate) labels: BTreeMap<String, String>,
    /// Makes the node one of the voters.
    pub(crate) voter: Option<VoterSection>,
    /// Mutual TLS with all other nodes.
    pub(crate) tls: Option<ClusterTlsSection>,
    /// The master of a cluster of Go's nano that the node is to be a member of, `host:port`.
    pub(crate) nano_master: Option<String>,
    /// How often Go nodes of nano say that they live.
    pub(crate) nano_heartbeat: Time,
    /// Times of links and records.
    pub(crate) timing: TimingSection,
}

/// Makes the node one of the voters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VoterSection {
    /// Its id among the voters, which nobody had before.
    pub(crate) id: u64,
    /// Where its log and snapshots are.
    pub(crate) dir: PathBuf,
    /// Whether it joins voters that run already; it asks them by itself, and goes on as one when it starts again.
    #[serde(default)]
    pub(crate) join: bool,
    /// How long a tick of Raft is; elections take ten to fourteen.
    #[serde(default = "tick")]
    pub(crate) tick: Time,
}

fn tick() -> Time {
    Time(VoterConfig::new(1, "").tick)
}

/// Mutual TLS with all other nodes. Files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterTlsSection {
    /// The certificate of the authority of all nodes.
    pub(crate) authority: PathBuf,
    /// The node's certificate chain, its own first.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
    /// The name that stands in every node's certificate.
    #[serde(default = "certificate_name")]
    pub(crate) name: String,
}

fn certificate_name() -> String {
    dunlin::TlsConfig::new("", "", "").name
}

/// Times of links and records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TimingSection {
    /// How often each end of a link says that it lives.
    pub(crate) heartbeat: Time,
    /// After so long a silence a link is dead, and its node avoided.
    pub(crate) silence_max: Time,
    /// For so long a node whose link broke may come back before its sessions are ended.
    pub(crate) comeback: Time,
    /// How long a dead node stays in the registry.
    pub(crate) lease_ttl: Time,
    /// How long a node that starts waits for the registry.
    pub(crate) join_timeout: Time,
}

/// The port of whoever runs the node: metrics, health, the cluster page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminSection {
    /// Where it is, `host:port`, or `off`. Another address than loopback needs a token.
    pub(crate) listen: String,
    /// A file with the token that whoever asks has to know. All nodes of a cluster share it, so that each can show the others.
    pub(crate) token_file: Option<PathBuf>,
    /// What other nodes are told of it, such as `http://10.0.0.1:7070`. What it listens on unless set, if that is no loopback.
    pub(crate) advertise: Option<String>,
    /// PEM files for the port to be served over TLS. Read again when they change.
    pub(crate) tls: Option<TlsSection>,
    /// The certificate of the authority of all nodes' admin ports, if they are served over TLS and the public does not know it.
    pub(crate) authority: Option<PathBuf>,
}

/// What it logs, to stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogSection {
    /// How much: `error`, `warn`, `info`, `debug`, or by module as `RUST_LOG` has it. Can be changed while the node runs.
    pub(crate) level: String,
    /// Lines for people, or JSON for machines.
    pub(crate) format: LogFormat,
    /// Where traces go, a collector that takes OTLP over gRPC, such as `http://127.0.0.1:4317`. Needs a program built with the feature `otel`.
    pub(crate) traces: Option<String>,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Human,
    Json,
}

impl From<LogFormat> for logs::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Human => Self::Human,
            LogFormat::Json => Self::Json,
        }
    }
}

impl Default for NodeSection {
    fn default() -> Self {
        let gate = GateConfig::default();
        Self {
            name: None,
            services: None,
            start_timeout: Time(gate.start_timeout),
            stop_timeout: Time(gate.stop_timeout),
            shards: gate.shards,
            workers: 0,
        }
    }
}

impl Default for ClientsSection {
    fn default() -> Self {
        let gate = GateConfig::default();
        let size = |len: usize| Size(u64::try_from(len).unwrap_or(u64::MAX));
        Self {
            listen: Vec::new(),
            tls: None,
            heartbeat_interval: Time(gate.heartbeat_interval),
            handshake_timeout: Time(gate.handshake_timeout),
            request_timeout: Time(gate.request_timeout),
            write_timeout: Time(gate.write_timeout),
            linger: Time(gate.linger),
            drain_window: Time(gate.drain_window),
            packet_body_in_max: size(gate.packet_body_in_max),
            packet_body_out_max: size(gate.packet_body_out_max),
            inflated_len_max: size(gate.inflated_len_max),
            compress_from: gate.compress_from.map(size),
            unanswered_max: gate.unanswered_max,
            send_queue_bytes_max: gate.send_queue.bytes_max,
            send_queue_packets_max: gate.send_queue.packets_max,
            send_queue_when_full: WhenFull::Disconnect,
            websocket_path: gate.websocket_path,
            origins: Vec::new(),
            connections_max: gate.connections_max,
            connections_per_address_max: Limit(gate.connections_per_address_max),
            connections_per_private_address_max: Limit(gate.connections_per_private_address_max),
            accepts_per_second_max: Limit(gate.accepts_per_second_max),
            messages_per_second_max: Limit(gate.messages_per_second_max),
            messages_burst_max: gate.messages_burst_max,
            calls_per_second_max: Limit(None),
            proxies: Vec::new(),
            jwt: None,
        }
    }
}

impl Default for ClusterSection {
    fn default() -> Self {
        let ClusterConfig { cluster, nano_heartbeat, .. } = ClusterConfig::new("", "");
        Self {
            listen: None,
            advertise: None,
            name: cluster,
            voters: BTreeMap::new(),
            labels: BTreeMap::new(),
            voter: None,
            tls: None,
            nano_master: None,
            nano_heartbeat: Time(nano_heartbeat),
            timing: TimingSection::default(),
        }
    }
}

impl Default for TimingSection {
    fn default() -> Self {
        let timing = dunlin::Timing::default();
        Self {
            heartbeat: Time(timing.heartbeat),
            silence_max: Time(timing.silence_max),
            comeback: Time(timing.comeback),
            lease_ttl: Time(timing.lease_ttl),
            join_timeout: Time(timing.join_timeout),
        }
    }
}

impl Default for AdminSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7070".to_owned(),
            token_file: None,
            advertise: None,
            tls: None,
            authority: None,
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Human, traces: None }
    }
}
