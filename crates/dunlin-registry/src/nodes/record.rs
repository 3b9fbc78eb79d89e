//! What is said of a node.

use std::collections::BTreeMap;

use prost::Message;

/// A node of a cluster.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct NodeRecord {
    /// Which: drawn anew for each life of a process, never 0.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// What people call it; the same in each of its lives.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Where other nodes reach it: `http://host:port`, or `https://` with TLS.
    #[prost(string, repeated, tag = "3")]
    pub urls: Vec<String>,
    /// The names of the services that it has.
    #[prost(string, repeated, tag = "4")]
    pub services: Vec<String>,
    /// What else is to be known of it, such as its zone or version.
    #[prost(btree_map = "string, string", tag = "5")]
    pub labels: BTreeMap<String, String>,
    /// What it does, as [`NodeRole`]s.
    #[prost(enumeration = "NodeRole", repeated, tag = "6")]
    pub roles: Vec<i32>,
    /// How it does.
    #[prost(enumeration = "NodeState", tag = "7")]
    pub state: i32,
    /// Its number among the nodes that there are: 0 to 511, given to it when it is announced.
    #[prost(uint32, tag = "8")]
    pub number: u32,
    /// The routes whose calls may be handled twice.
    #[prost(string, repeated, tag = "9")]
    pub idempotent_routes: Vec<String>,
}

/// What a node does. One node may do several things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum NodeRole {
    /// It answers calls that other nodes forward.
    Backend = 0,
    /// Clients connect to it.
    Gate = 1,
    /// It has a vote in the group that keeps the registry.
    Voter = 2,
}

/// How a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum NodeState {
    /// It is there and does not serve yet.
    Joining = 0,
    /// It serves.
    Up = 1,
    /// It finishes what it has and takes nothing new.
    Draining = 2,
    /// It is about to be gone.
    Down = 3,
}

impl NodeRole {
    /// As it is told to people and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Gate => "gate",
            Self::Voter => "voter",
        }
    }
}

impl NodeState {
    /// As it is told to people and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Up => "up",
            Self::Draining => "draining",
            Self::Down => "down",
        }
    }
}

impl NodeRecord {
    /// Whether it has a service, and takes calls for it from those that are new to it.
    #[must_use]
    pub fn takes(&self, service: &str) -> bool {
        self.state() == NodeState::Up && self.has(service)
    }

    /// Whether it has a service.
    #[must_use]
    pub fn has(&self, service: &str) -> bool {
        self.services.iter().any(|name| name == service)
    }
}
