//! The Raft core of a member, with the bugs that are a core's.

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{ConfChangeV2, ConfState, EntryType, Message, MessageType, SnapshotMetadata};
use dunlin_registry::consensus::{CoreError, CoreLook, Progress, RaftCore, RaftRs, Role, Todo};

use crate::bug::Bug;

/// A core that may have a bug.
#[derive(Debug)]
pub(crate) struct SimCore {
    core: RaftRs,
    bug: Option<Bug>,
    /// Questions that were answered without asking.
    answered: Vec<(u64, u64)>,
}

impl SimCore {
    pub(crate) const fn new(core: RaftRs, bug: Option<Bug>) -> Self {
        Self { core, bug, answered: Vec::new() }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Says in a message what is not so.
    fn change(&self, message: &mut Message) {
        if self.has(Bug::AcknowledgesMore) && message.is(MessageType::AppResp) && !message.reject {
            message.index += 1;
        }
        let asks_for_vote = message.is(MessageType::Vote) || message.is(MessageType::PreVote);
        if self.has(Bug::CandidateClaimsMore) && asks_for_vote {
            message.index += 5;
        }
    }
}

impl RaftCore for SimCore {
    fn handle_tick(&mut self) {
        self.core.handle_tick();
    }

    fn handle_message(&mut self, message: Message) -> Result<(), CoreError> {
        self.core.handle_message(message)
    }

    fn propose(&mut self, entry_type: EntryType, data: Bytes) -> Result<(), CoreError> {
        self.core.propose(entry_type, data)
    }

    fn propose_all(&mut self, entries: Vec<Bytes>) -> Result<(), CoreError> {
        self.core.propose_all(entries)
    }

    fn ask_read_index(&mut self, question: u64) {
        let look = self.core.look();
        if self.has(Bug::ReadWithoutQuorum) && look.role == Role::Leader {
            self.answered.push((question, look.committed));
        } else {
            self.core.ask_read_index(question);
        }
    }

    fn transfer_leader(&mut self, to: u64) {
        self.core.transfer_leader(to);
    }

    fn handle_unreachable(&mut self, id: u64) {
        self.core.handle_unreachable(id);
    }

    fn handle_snapshot_sent(&mut self, id: u64, has_arrived: bool) {
        self.core.handle_snapshot_sent(id, has_arrived);
    }

    fn poll(&mut self) -> Option<Todo> {
        let answered = std::mem::take(&mut self.answered);
        let todo = self.core.poll();
        let mut todo = if answered.is_empty() { todo? } else { todo.unwrap_or_default() };
        todo.read_states.extend(answered);
        if self.has(Bug::ReadBeforeApplied) {
            todo.read_states.iter_mut().for_each(|(_, index)| *index = 0);
        }
        todo.messages.iter_mut().chain(&mut todo.messages_after).for_each(|message| self.change(message));
        Some(todo)
    }

    fn handle_persisted(&mut self, number: u64) {
        self.core.handle_persisted(number);
    }

    fn handle_applied(&mut self, index: u64) {
        self.core.handle_applied(index);
    }

    fn has_pending_change(&self) -> bool {
        self.core.has_pending_change()
    }

    fn restored(&self) -> u64 {
        if self.has(Bug::ChangeAfterSnapshot) { 0 } else { self.core.restored() }
    }

    fn apply_change(&mut self, change: &ConfChangeV2) -> Result<ConfState, CoreError> {
        self.core.apply_change(change)
    }

    fn handle_snapshot_taken(&mut self, snapshot: SnapshotMetadata, first_index: u64) {
        self.core.handle_snapshot_taken(snapshot, first_index);
    }

    fn take_snapshot_wanted(&mut self) -> bool {
        self.core.take_snapshot_wanted()
    }

    fn term_of(&self, index: u64) -> Option<u64> {
        self.core.term_of(index)
    }

    fn look(&self) -> CoreLook {
        self.core.look()
    }

    fn conf_state(&self) -> ConfState {
        self.core.conf_state()
    }

    fn progress(&self) -> Vec<Progress> {
        self.core.progress()
    }
}
