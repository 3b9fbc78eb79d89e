//! How a member does, for whoever watches over it.

use std::time::Duration;

use crate::consensus::{Progress, Role};

/// How a member does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Well.
    Running,
    /// There is no room on the disk. It hands leadership over and waits for room.
    DiskFull(String),
    /// It has stopped, and why if nobody asked it to.
    Stopped(Option<String>),
}

/// What a member is and how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// How it does.
    pub health: Health,
    /// What it is in its group.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// Who leads; 0 when nobody is known to.
    pub leader: u64,
    /// Whether it has a vote.
    pub is_voter: bool,
    /// The last index known to be committed.
    pub committed: u64,
    /// The last index that was applied.
    pub applied: u64,
    /// How long the disk took last.
    pub sync_took: Duration,
    /// How far members are; nothing unless this one leads.
    pub progress: Vec<Progress>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            health: Health::Running,
            role: Role::Follower,
            term: 0,
            leader: 0,
            is_voter: false,
            committed: 0,
            applied: 0,
            sync_took: Duration::ZERO,
            progress: Vec::new(),
        }
    }
}
