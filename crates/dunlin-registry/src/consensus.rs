//! What the registry needs of a Raft core, and the crate `raft` behind it.
//!
//! A core is told what happened (ticks, messages, what is on the disk, what was applied) and asked what is to be done. It has no
//! disk, clock or sockets. Everything here is in etcd's types, `dunlin_rafthttp::raftpb`; another core takes no more than this trait.
//!
//! - `consensus/raft_rs.rs`: the crate `raft` as a core.
//! - `consensus/memory.rs`: the part of the log that the core reads, in memory.
//! - `consensus/convert.rs`: our types and those of the crate.

use bytes::{Bytes, BytesMut};
use dunlin_rafthttp::raftpb::{
    self, ConfChange, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, HardState, Message,
    SnapshotMetadata,
};

mod convert;
mod memory;
mod raft_rs;
#[cfg(test)]
mod tests;

pub use convert::change_of;
pub use raft_rs::RaftRs;

/// How a core is set up.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// This member.
    pub id: u64,
    /// Ticks from one heartbeat to the next.
    pub heartbeat_ticks: usize,
    /// Ticks without a leader after which an election is held, at least.
    pub election_ticks: usize,
    /// Less than so many ticks may be drawn beyond that. Few: the group is without a leader for less long. Many: two members hold elections
    /// at once less often.
    pub election_spread_ticks: usize,
    /// What the election timeouts are drawn from. Members of one group have different ones.
    pub seed: u64,
    /// Entries that an append carries, in bytes.
    pub append_len_max: u64,
    /// Appends on their way to a follower.
    pub appends_in_flight_max: usize,
    /// Entries proposed and not committed, in bytes; beyond that proposals are dropped.
    pub uncommitted_len_max: u64,
    /// Committed entries that are given at a time, in bytes.
    pub committed_len_max: u64,
}

impl CoreConfig {
    /// A member with the defaults: 10 to 14 ticks for an election, one for a heartbeat.
    #[must_use]
    pub const fn new(id: u64, seed: u64) -> Self {
        Self {
            id,
            heartbeat_ticks: 1,
            election_ticks: 10,
            election_spread_ticks: 5,
            seed,
            append_len_max: 1024 * 1024,
            appends_in_flight_max: 256,
            uncommitted_len_max: 64 * 1024 * 1024,
            committed_len_max: 4 * 1024 * 1024,
        }
    }
}

/// What is on the disk of a member when it starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovered {
    /// Term, vote and commit.
    pub hard_state: HardState,
    /// The snapshot that the log goes on from; index 0 where there is none.
    pub snapshot: SnapshotMetadata,
    /// The entries after it, one by one.
    pub entries: Vec<Entry>,
}

impl Recovered {
    /// The beginning of a new group: what each of its first members has on its disk before it starts. Like etcd's: an entry for each
    /// member, all of them committed in term 1. `members` are ids with what their entries say of them, the same everywhere.
    #[must_use]
    pub fn bootstrap(members: impl IntoIterator<Item = (u64, Bytes)>) -> Self {
        let entry = |(index, (id, context)): (u64, (u64, Bytes))| {
            let change =
                ConfChange { id: index, change_type: ConfChangeType::AddNode.into(), node_id: id, context };
            let mut data = BytesMut::new();
            raftpb::encode(&change, &mut data);
            Entry { entry_type: EntryType::ConfChange.into(), term: 1, index, data: data.freeze() }
        };
        let entries: Vec<Entry> = (1..).zip(members).map(entry).collect();
        let commit = entries.len() as u64;
        Self { hard_state: HardState { term: 1, vote: 0, commit }, entries, ..Self::default() }
    }

    /// Whether there was never anything: neither an entry nor a snapshot nor a vote.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.snapshot.index == 0 && self.hard_state.term == 0
    }
}

/// What a member is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It follows, or waits for somebody to follow.
    Follower,
    /// It asks for votes, or whether they would be given.
    Candidate,
    /// It leads.
    Leader,
}

/// A look at a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreLook {
    /// What this member is.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// Who leads; 0 when nobody is known to.
    pub leader: u64,
    /// The last index known to be committed.
    pub committed: u64,
    /// The last index of the log, also what is not on the disk yet.
    pub last_index: u64,
    /// Whether this member has a vote.
    pub is_voter: bool,
}

/// How far a member is, as its leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The member.
    pub id: u64,
    /// The last entry that it is known to have.
    pub matched: u64,
    /// Whether it was heard of since the last look of the leader.
    pub is_active: bool,
    /// Whether it only learns.
    pub is_learner: bool,
}

/// What is to be done. Everything of it, and in this order where something follows from something else.
#[derive(Debug, Default)]
pub struct Todo {
    /// Its number; told back by [`RaftCore::handle_persisted`].
    pub number: u64,
    /// To be sent now.
    pub messages: Vec<Message>,
    /// To be written and synced, in the order of the numbers.
    pub persist: Persist,
    /// To be sent when that is on the disk.
    pub messages_after: Vec<Message>,
    /// To be applied, in order.
    pub committed: Vec<Entry>,
    /// Questions that are answered: when this index is applied, what is read then is not stale.
    pub read_states: Vec<(u64, u64)>,
}

/// What is to be written.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Persist {
    /// The entries; what the log has from the index of the first one on goes.
    pub entries: Vec<Entry>,
    /// Term, vote and commit, if they changed.
    pub hard_state: Option<HardState>,
    /// A leader's snapshot that takes the place of the log and the state.
    pub snapshot: Option<SnapshotMetadata>,
    /// Whether anybody relies on it being synced. A commit alone may be lost.
    pub must_sync: bool,
}

impl Persist {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.hard_state.is_none() && self.snapshot.is_none()
    }
}

/// Why a core did not take something. It is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// There is no leader that it could go to, or too much is on its way already.
    #[error("raft dropped a proposal")]
    Dropped,
    /// The core does not take it: a message of somebody unknown, a configuration that cannot be.
    #[error("raft refused: it makes no sense now")]
    Refused,
}

/// A Raft core.
///
/// What is asked of it takes effect in the next [`poll`](Self::poll). A core may panic over what cannot be if everybody keeps to
/// Raft; whoever drives it ends the member then.
pub trait RaftCore: Send {
    /// Time goes by.
    fn handle_tick(&mut self);

    /// A message came that was admitted.
    ///
    /// # Errors
    ///
    /// [`CoreError`] when it was not taken.
    fn handle_message(&mut self, message: Message) -> Result<(), CoreError>;

    /// Proposes an entry, here or by way of the leader.
    ///
    /// # Errors
    ///
    /// [`CoreError`] when it was not taken.
    fn propose(&mut self, entry_type: EntryType, data: Bytes) -> Result<(), CoreError>;

    /// Proposes entries of the application's all at once, which costs little more than one.
    ///
    /// # Errors
    ///
    /// [`CoreError`] when none of them was taken.
    fn propose_all(&mut self, entries: Vec<Bytes>) -> Result<(), CoreError>;

    /// Asks for an index at which reading is not stale. The answer may never come.
    fn ask_read_index(&mut self, question: u64);

    /// Asks the leader to hand over.
    fn transfer_leader(&mut self, to: u64);

    /// A peer was not reached.
    fn handle_unreachable(&mut self, id: u64);

    /// What became of a snapshot that was sent to a peer.
    fn handle_snapshot_sent(&mut self, id: u64, has_arrived: bool);

    /// What is to be done, if anything.
    fn poll(&mut self) -> Option<Todo>;

    /// Everything up to the [`Todo`] of this number is on the disk.
    fn handle_persisted(&mut self, number: u64);

    /// Everything up to this index is applied.
    fn handle_applied(&mut self, index: u64);

    /// Whether it leads and would take no change of members now: another one may not be applied yet.
    fn has_pending_change(&self) -> bool;

    /// The index of the last snapshot of a leader that took the place of the log: its configuration is in force since it came. 0 when
    /// there was none.
    fn restored(&self) -> u64;

    /// A change of members was applied; the configuration after it. None that is up to [`restored`](Self::restored).
    ///
    /// # Errors
    ///
    /// [`CoreError`] when there can be no such configuration. It stays as it was, as on every other member.
    fn apply_change(&mut self, change: &ConfChangeV2) -> Result<ConfState, CoreError>;

    /// A snapshot of this member is on the disk: the log may begin at `first_index`, and followers that need what was before get the
    /// snapshot.
    fn handle_snapshot_taken(&mut self, snapshot: SnapshotMetadata, first_index: u64);

    /// Whether somebody needs a snapshot that is newer than the last one, since this was asked last. Until there is one, it waits.
    fn take_snapshot_wanted(&mut self) -> bool;

    /// The term of an entry that the log has.
    fn term_of(&self, index: u64) -> Option<u64>;

    /// A look at it.
    fn look(&self) -> CoreLook;

    /// The configuration in force.
    fn conf_state(&self) -> ConfState;

    /// How far members are; nothing unless this one leads.
    fn progress(&self) -> Vec<Progress>;
}
