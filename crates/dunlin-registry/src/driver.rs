//! One member as a state machine: requests, messages, ticks and what is on the disk in; what is to be sent, written and applied out.
//!
//! It stands between a Raft core and the tasks that act: it holds proposals until there is a leader, and proposes them again when
//! there is another one; asks for one index to read at on behalf of everybody who waits; looks at changes of members before they
//! are proposed, whoever asked for them, and passes on to the leader those that it has no reason to refuse. It knows no disk, clock, socket or thread: whoever drives it tells it when a tick is over.
//!
//! - `driver/proposals.rs`: proposals that are not applied yet.
//! - `driver/reads.rs`: reads that wait for an index, here and on members that ask this one.
//! - `driver/change.rs`: whether a change of members is safe.
//! - `driver/passed_on.rs`: what other members want proposed.
//! - `driver/write.rs`: what is written to the log at once.
//! - `driver/apply.rs`: what becomes of a committed entry.
//!
//! Invariants: what it holds is bounded; a proposal that may be applied twice is proposed once; nothing is said to be readable before
//! everything up to the index that a quorum vouched for is applied; a
//! leader proposes no change of members that it has not looked at.

use std::collections::BTreeMap;

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{
    ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType, SnapshotMetadata,
};

mod apply;
mod change;
mod passed_on;
mod proposals;
mod reads;
#[cfg(test)]
mod tests;
mod write;

pub use self::apply::{AppliedEntry, ApplyError, apply_entry};
pub use self::change::{ChangeError, member_change};
pub use self::passed_on::PassedOnError;
use self::proposals::Proposals;
use self::reads::Reads;
pub use self::write::{WriteBatch, WriteJob};
use crate::consensus::{CoreLook, Persist, Progress, RaftCore, Role};
use crate::limits::{PROPOSALS_LEN_MAX, PROPOSALS_MAX, READS_MAX, UNAPPLIED_ENTRIES_MAX};

/// A request of this member's, by a number that it never uses twice.
pub type RequestId = u64;

/// Something that this member proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What kind of entry it becomes.
    pub entry_type: EntryType,
    /// What is in it.
    pub data: Bytes,
    /// Whether it does no harm when it is applied twice.
    pub is_repeatable: bool,
}

/// Why a request is not taken. Nothing came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too much waits already.
    #[error("this member has too much to do")]
    Overloaded,
}

/// What is to be done next: everything in it, in this order.
#[derive(Debug, Default)]
pub struct Step {
    /// The number of what is to be written, told back by [`Driver::handle_persisted`]; 0 when nothing is, and nothing before it still is.
    pub number: u64,
    /// To be sent now.
    pub messages: Vec<Message>,
    /// Snapshots to be sent: each needs the database of its index.
    pub snapshots: Vec<Message>,
    /// To be written and synced, in the order of the numbers.
    pub persist: Persist,
    /// To be sent when that is on the disk.
    pub messages_after: Vec<Message>,
    /// To be applied, in order.
    pub committed: Vec<Entry>,
    /// Reads that may be answered now.
    pub reads: Vec<RequestId>,
    /// Changes of members that waited for a leader, and are not proposed now that there is one.
    pub refused: Vec<(RequestId, ChangeError)>,
    /// What this member has become, if that changed.
    pub look: Option<CoreLook>,
}

/// A change of members that was applied to the state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedChange {
    /// The index of its entry.
    pub index: u64,
    /// The change.
    pub change: ConfChangeV2,
    /// Whether Raft is to follow it.
    pub is_rafts: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Driver<C> {
    core: C,
    proposals: Proposals,
    reads: Reads,
    look: CoreLook,
    /// The last entry that was given out to be applied, and the last one that was.
    given: u64,
    applied: u64,
    /// The last step that was given out to be written, and the last one that was.
    to_write: u64,
    written: u64,
    /// The configuration after each change since the last snapshot, by the index of its entry.
    conf_states: BTreeMap<u64, ConfState>,
    ready_reads: Vec<RequestId>,
    /// What other members passed on to be proposed, since the last step.
    passed_on: Vec<Bytes>,
    /// Changes of members that they passed on and that wait for another one.
    passed_on_changes: Vec<Entry>,
    refused: Vec<(RequestId, ChangeError)>,
}

impl<C: RaftCore> Driver<C> {
    /// A member that goes on from a snapshot. `life` is a random number: an answer to a question of another life is none.
    pub fn new(core: C, snapshot: &SnapshotMetadata, life: u64) -> Self {
        let look = core.look();
        Self {
            core,
            proposals: Proposals::new(PROPOSALS_MAX, PROPOSALS_LEN_MAX),
            reads: Reads::new(READS_MAX, life),
            look,
            given: snapshot.index,
            applied: snapshot.index,
            to_write: 0,
            written: 0,
            conf_states: BTreeMap::from([(snapshot.index, snapshot.conf_state.clone())]),
            ready_reads: Vec::new(),
            passed_on: Vec::new(),
            passed_on_changes: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Time goes by.
    pub fn handle_tick(&mut self) {
        self.core.handle_tick();
        self.proposals.handle_tick();
        let ask = self.reads.handle_tick();
        self.ask_read(ask);
    }

    /// This member wants something to be in the log.
    ///
    /// # Errors
    ///
    /// [`RequestError`] when too much waits.
    pub fn handle_proposal(&mut self, request: RequestId, proposal: Proposal) -> Result<(), RequestError> {
        if self.given - self.applied > UNAPPLIED_ENTRIES_MAX {
            return Err(RequestError::Overloaded);
        }
        self.proposals.insert(request, proposal)
    }

    /// This member wants to change who is in the group. Who does not lead judges what it can, and leaves the rest to the leader, from
    /// whom nothing is heard of a change that he refuses.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] when it is not safe.
    pub fn handle_change(
        &mut self,
        request: RequestId,
        (change, data): (&ConfChangeV2, Proposal),
    ) -> Result<(), ChangeError> {
        self.check_change(change)?;
        self.proposals.insert(request, data).map_err(|_| ChangeError::Overloaded)?;
        self.propose_waiting();
        Ok(())
    }

    /// Looks at a change as somebody who leads, or as somebody who passes it on.
    fn check_change(&self, change: &ConfChangeV2) -> Result<(), ChangeError> {
        if self.core.has_pending_change() {
            return Err(ChangeError::OneAtATime);
        }
        change::check(&self.core.look(), &self.core.progress(), &self.core.conf_state(), change)
    }

    /// This member wants to read what is not stale.
    ///
    /// # Errors
    ///
    /// [`RequestError`] when too much waits.
    pub fn handle_read(&mut self, request: RequestId) -> Result<(), RequestError> {
        let ask = self.reads.insert(request)?;
        self.ask_read(ask);
        Ok(())
    }

    /// Whether reads wait for others, to be asked for together. They are to be told after [`READS_GATHER`](crate::limits::READS_GATHER)
    /// that those had time to come; a tick tells them too.
    #[must_use]
    pub fn is_gathering(&self) -> bool {
        self.reads.is_gathering()
    }

    /// Those for whom reads waited had time to come.
    pub fn handle_gathered(&mut self) {
        let ask = self.reads.handle_gathered();
        self.ask_read(ask);
    }

    /// Nobody waits for a request any more: it was answered, or given up.
    pub fn handle_forgotten(&mut self, request: RequestId) {
        self.proposals.remove(request);
        self.reads.remove(request);
    }

    /// The leader is to hand over to another member; who does not lead passes it on.
    pub fn handle_transfer(&mut self, to: u64) {
        self.core.transfer_leader(to);
    }

    /// A peer was not reached.
    pub fn handle_unreachable(&mut self, id: u64) {
        self.core.handle_unreachable(id);
    }

    /// What became of a snapshot that was sent to a peer.
    pub fn handle_snapshot_sent(&mut self, id: u64, has_arrived: bool) {
        self.core.handle_snapshot_sent(id, has_arrived);
    }

    /// Everything up to the [`Step`] of this number is on the disk.
    pub fn handle_persisted(&mut self, number: u64) {
        self.written = self.written.max(number);
        self.core.handle_persisted(number);
    }

    /// Everything up to this index is applied, these changes of members among it.
    pub fn handle_applied(&mut self, index: u64, changes: Vec<AppliedChange>) {
        for AppliedChange { index, change, is_rafts } in changes {
            // Of entries that a leader's snapshot has overtaken the core has the outcome, and more.
            let is_new = index > self.core.restored();
            if is_rafts
                && is_new
                && let Ok(conf_state) = self.core.apply_change(&change)
            {
                self.conf_states.insert(index, conf_state);
            }
        }
        self.applied = self.applied.max(index);
        self.core.handle_applied(index);
        let ready = self.reads.handle_applied(self.applied);
        self.ready_reads.extend(ready);
    }

    /// A leader's snapshot, which is on the disk, was installed in place of the state.
    pub fn handle_installed(&mut self, snapshot: &SnapshotMetadata) {
        self.conf_states = BTreeMap::from([(snapshot.index, snapshot.conf_state.clone())]);
        self.handle_applied(snapshot.index, Vec::new());
    }

    /// What a snapshot of the state at this index, which was applied, says of the log; `None` where the log no longer knows.
    #[must_use]
    pub fn snapshot_at(&self, index: u64) -> Option<SnapshotMetadata> {
        let term = self.core.term_of(index).filter(|_| index >= self.core.restored())?;
        let (_, conf_state) = self.conf_states.range(..=index).next_back()?;
        Some(SnapshotMetadata { index, term, conf_state: conf_state.clone() })
    }

    /// Such a snapshot is on the disk. The log keeps `tail` entries before it for followers that are a little behind.
    pub fn handle_snapshot_taken(&mut self, snapshot: SnapshotMetadata, tail: u64) {
        let index = snapshot.index;
        self.conf_states = self.conf_states.split_off(&index);
        self.conf_states.insert(index, snapshot.conf_state.clone());
        self.core.handle_snapshot_taken(snapshot, index.saturating_sub(tail) + 1);
    }

    /// Whether a snapshot is to be taken now, since this was asked last: a follower needs one that it is in.
    pub fn take_snapshot_wanted(&mut self) -> bool {
        self.core.take_snapshot_wanted()
    }

    /// What is to be done next, if anything.
    pub fn poll(&mut self) -> Option<Step> {
        let look = self.take_look();
        self.propose_waiting();
        let todo = self.core.poll();
        let reads = std::mem::take(&mut self.ready_reads);
        let refused = std::mem::take(&mut self.refused);
        let Some(todo) = todo else {
            let is_idle = reads.is_empty() && refused.is_empty() && look.is_none();
            return (!is_idle).then(|| Step { reads, refused, look, ..Step::default() });
        };
        // A member that forgets that a change was committed may wait for ever for the vote of one who is gone.
        let is_change = |entry: &Entry| entry.entry_type() != Ok(EntryType::Normal);
        let must_sync = todo.persist.must_sync || todo.committed.iter().any(is_change);
        let persist = Persist { must_sync, ..todo.persist };
        let is_snapshot = |message: &Message| message.is(MessageType::Snap);
        let (mut messages, mut messages_after) = (todo.messages, todo.messages_after);
        let mut snapshots: Vec<Message> = messages.extract_if(.., |message| is_snapshot(message)).collect();
        // Of a leader that has just stepped down, they wait for the disk as everything else does, and have no need to: it led.
        snapshots.extend(messages_after.extract_if(.., |message| is_snapshot(message)));
        if let Some(last) = todo.committed.last() {
            self.given = last.index;
        }
        if let Some(snapshot) = &persist.snapshot {
            self.given = snapshot.index;
        }
        let mut number = todo.number;
        if persist.is_empty() && !must_sync && self.written == self.to_write {
            // Heartbeats and reads are most of it, and have no business with the disk.
            self.core.handle_persisted(number);
            messages.append(&mut messages_after);
            number = 0;
        } else {
            self.to_write = number;
        }
        let mut step = Step {
            number,
            messages,
            snapshots,
            persist,
            messages_after,
            committed: todo.committed,
            reads,
            refused,
            look,
        };
        for (question, index) in todo.read_states {
            let answered = self.reads.handle_answer(question, index, self.applied);
            step.reads.extend(answered.ready);
            // Whoever has others that ask leads.
            let CoreLook { leader: from, term, .. } = self.look;
            step.messages.extend(answered.messages.into_iter().map(|message| Message {
                from,
                term,
                ..message
            }));
            self.ask_read(answered.ask);
        }
        Some(step)
    }

    /// A look at the core.
    #[must_use]
    pub fn look(&self) -> CoreLook {
        self.core.look()
    }

    /// How far members are; nothing unless this one leads.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        self.core.progress()
    }

    /// The configuration in force.
    #[must_use]
    pub fn conf_state(&self) -> ConfState {
        self.core.conf_state()
    }

    /// The last entry that was applied.
    #[must_use]
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Notes a change of leader or role: what another leader was asked has to be asked again.
    fn take_look(&mut self) -> Option<CoreLook> {
        let (before, now) = (self.look, self.core.look());
        self.look = now;
        let of = |look: CoreLook| (look.term, look.leader, look.role, look.is_voter);
        if of(before) == of(now) {
            return None;
        }
        if (before.term, before.leader) != (now.term, now.leader) {
            // Whoever passed them on has given up by the time that they could be passed on again.
            self.passed_on_changes.clear();
            self.reads.forget_others();
        }
        if (before.term, before.leader) != (now.term, now.leader) && now.leader != 0 {
            self.proposals.handle_leader();
            let ask = self.reads.handle_leader();
            self.ask_read(ask);
        }
        Some(now)
    }

    /// Proposes what waits, here and by way of others. What came since the last step goes together: each proposal makes an append to
    /// every follower.
    fn propose_waiting(&mut self) {
        if self.core.look().leader == 0 {
            // Whoever passed it on asks again.
            self.passed_on.clear();
            return;
        }
        let passed_on = std::mem::take(&mut self.passed_on);
        if !passed_on.is_empty() {
            // What is dropped, whoever passed it on proposes again.
            self.core.propose_all(passed_on).ok();
        }
        loop {
            let waiting = self.proposals.next_waiting();
            let requests: Vec<RequestId> = waiting.iter().map(|(request, _)| *request).collect();
            let proposed = match waiting[..] {
                [] => return,
                [(request, proposal)] => {
                    // What a leader is to propose may have been taken when there was none, or another one.
                    if let Err(error) =
                        change::change_in(proposal).map_or(Ok(()), |change| self.check_change(&change))
                    {
                        self.refused.push((request, error));
                        self.proposals.remove(request);
                        continue;
                    }
                    self.core.propose(proposal.entry_type, proposal.data.clone())
                }
                _ => {
                    self.core.propose_all(waiting.iter().map(|(_, proposal)| proposal.data.clone()).collect())
                }
            };
            if proposed.is_err() {
                // They stay first in line, and the next step asks again.
                return;
            }
            self.proposals.handle_proposed(&requests);
        }
    }

    fn ask_read(&mut self, question: Option<u64>) {
        if let Some(question) = question {
            self.core.ask_read_index(question);
        }
    }
}

/// Whether this member leads.
#[must_use]
pub fn leads(look: &CoreLook) -> bool {
    look.role == Role::Leader
}
