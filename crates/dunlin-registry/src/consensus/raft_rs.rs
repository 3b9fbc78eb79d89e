//! The crate `raft`, 0.7, as a core.
//!
//! Known of it, and kept out of here: it panics over heartbeats that commit what is not there, over proposals without entries and
//! over terms at the end of their range (`admit` lets none of these in); it lets a node that is no voter hold an election when told
//! to (nobody tells it); it panics over an election between a leader's snapshot and the word that it is applied (it is told at once);
//! a leader that has lost its vote leads on and answers reads (it answers none, and hands over); it draws election timeouts from the
//! thread's random numbers (they are set anew after each step, from a seed).

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{
    ConfChangeV2, ConfState, Entry, EntryType, HardState, Message, MessageType, SnapshotMetadata,
};
use raft::eraftpb;
use raft::{Config, RawNode, SnapshotStatus, StateRole};

use super::convert::{
    change_to_core, conf_state_from_core, entry_from_core, entry_to_core, hard_state_from_core,
    hard_state_to_core, message_from_core, message_to_core, snapshot_from_core, snapshot_to_core, stand_in,
};
use super::memory::MemoryLog;
use super::{CoreConfig, CoreError, CoreLook, Persist, Progress, RaftCore, Recovered, Role, Todo};

/// See the module.
pub struct RaftRs {
    node: RawNode<MemoryLog>,
    config: CoreConfig,
    /// The index of the last snapshot of a leader that was given to be written.
    restored: u64,
}

impl std::fmt::Debug for RaftRs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftRs").field("look", &self.look()).finish_non_exhaustive()
    }
}

impl RaftRs {
    /// A core that goes on from what was recovered. Committed entries after the snapshot are given again, to be applied.
    ///
    /// # Errors
    ///
    /// [`CoreError::Refused`] when the parts of what was recovered do not fit together.
    pub fn new(config: CoreConfig, recovered: Recovered) -> Result<Self, CoreError> {
        let snapshot = (recovered.snapshot.index > 0).then(|| snapshot_to_core(&recovered.snapshot));
        let entries: Option<Vec<_>> = recovered.entries.into_iter().map(entry_to_core).collect();
        let entries = entries.ok_or(CoreError::Refused)?;
        let log = MemoryLog::new(hard_state_to_core(recovered.hard_state), snapshot, entries);
        let settings = Config {
            election_tick: config.election_ticks,
            heartbeat_tick: config.heartbeat_ticks,
            applied: recovered.snapshot.index,
            max_size_per_msg: config.append_len_max,
            max_inflight_msgs: config.appends_in_flight_max,
            check_quorum: true,
            pre_vote: true,
            max_uncommitted_size: config.uncommitted_len_max,
            max_committed_size_per_ready: config.committed_len_max,
            ..Config::new(config.id)
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&settings, log, &logger).map_err(|_| CoreError::Refused)?;
        let mut core = Self { node, config, restored: 0 };
        core.set_election_timeout();
        Ok(core)
    }

    /// Sets the election timeout by seed, member and term alone, whatever the crate has drawn.
    fn set_election_timeout(&mut self) {
        let raft = &mut self.node.raft;
        let drawn = mix(self.config.seed ^ mix(self.config.id) ^ mix(raft.term));
        let spread = self.config.election_spread_ticks.max(1);
        let ticks = self.config.election_ticks + usize::try_from(drawn % spread as u64).unwrap_or(0);
        raft.set_randomized_election_timeout(ticks);
    }

    /// Puts the data of a change back that the core was shown in another form: into the log, and into what is about to be sent.
    fn put_back(&mut self, index: u64, offset: u64, data: &Bytes) {
        let raft = &mut self.node.raft;
        let put_back = |entry: &mut eraftpb::Entry| {
            // What the core does not want now, it has made an empty entry of.
            if entry.get_entry_type() != eraftpb::EntryType::EntryNormal {
                entry.data = data.clone();
            }
        };
        let logged = raft.raft_log.unstable.entries.iter_mut().filter(|entry| entry.index == index);
        logged.for_each(put_back);
        for message in &mut raft.msgs {
            let is_passed_on = message.get_msg_type() == eraftpb::MessageType::MsgPropose;
            let is_it = |(place, entry): &(u64, &mut eraftpb::Entry)| {
                if is_passed_on { *place == offset } else { entry.index == index }
            };
            let entries = (0..).zip(message.mut_entries().iter_mut());
            entries.filter(is_it).for_each(|(_, entry)| put_back(entry));
        }
    }

    /// Whether it leads and has lost its vote. The crate lets it lead on, and then answers reads without asking anybody where there is
    /// one voter, which it takes for itself.
    fn leads_without_vote(&self) -> bool {
        self.node.raft.state == StateRole::Leader && !self.node.raft.promotable()
    }

    /// Hands over to the voter that has most of the log. Were it to step down at once, the voters might never hear that it has lost
    /// its vote, and wait for it.
    fn hand_over(&mut self) {
        let voters = self.conf_state().voters;
        let fit = self
            .progress()
            .into_iter()
            .filter(|progress| voters.contains(&progress.id) && progress.is_active);
        if let Some(best) = fit.max_by_key(|progress| progress.matched) {
            self.node.transfer_leader(best.id);
        }
    }

    fn ask(&mut self, message: eraftpb::Message) -> Result<(), CoreError> {
        let taken = self.node.step(message);
        self.set_election_timeout();
        taken.map_err(|error| match error {
            raft::Error::ProposalDropped => CoreError::Dropped,
            _ => CoreError::Refused,
        })
    }
}

/// Replaces what the core cannot read by what it can. What was replaced, by the place of its entry.
fn show_readable(message: &mut Message) -> Vec<(u64, Bytes)> {
    let entries = (0..).zip(&mut message.entries);
    let shown = entries.filter_map(|(offset, entry)| {
        let readable = stand_in(entry)?;
        Some((offset, std::mem::replace(&mut entry.data, readable)))
    });
    shown.collect()
}

/// Spreads the bits of a number: the finalizer of `SplitMix64`.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

impl RaftCore for RaftRs {
    fn handle_tick(&mut self) {
        self.node.tick();
        if self.leads_without_vote() {
            self.hand_over();
        }
        self.set_election_timeout();
    }

    fn handle_message(&mut self, mut message: Message) -> Result<(), CoreError> {
        if message.is(MessageType::ReadIndex) && self.leads_without_vote() {
            return Err(CoreError::Refused);
        }
        let shown = if message.is(MessageType::Prop) { show_readable(&mut message) } else { Vec::new() };
        let last_index = self.node.raft.raft_log.last_index();
        self.ask(message_to_core(message).ok_or(CoreError::Refused)?)?;
        for (offset, data) in shown {
            self.put_back(last_index + 1 + offset, offset, &data);
        }
        Ok(())
    }

    fn propose(&mut self, entry_type: EntryType, data: Bytes) -> Result<(), CoreError> {
        let entry = Entry { entry_type: entry_type.into(), data, ..Entry::default() };
        let msg_type = MessageType::Prop.into();
        let from = self.config.id;
        self.handle_message(Message { msg_type, from, entries: vec![entry], ..Message::default() })
    }

    fn propose_all(&mut self, entries: Vec<Bytes>) -> Result<(), CoreError> {
        let entries = entries.into_iter().map(|data| Entry { data, ..Entry::default() }).collect();
        let (msg_type, from) = (MessageType::Prop.into(), self.config.id);
        self.handle_message(Message { msg_type, from, entries, ..Message::default() })
    }

    fn ask_read_index(&mut self, question: u64) {
        if self.leads_without_vote() {
            return;
        }
        // A leader tells questions apart by their bytes alone, whoever asks.
        self.node.read_index([self.config.id.to_be_bytes(), question.to_be_bytes()].concat());
    }

    fn transfer_leader(&mut self, to: u64) {
        self.node.transfer_leader(to);
    }

    fn handle_unreachable(&mut self, id: u64) {
        self.node.report_unreachable(id);
    }

    fn handle_snapshot_sent(&mut self, id: u64, has_arrived: bool) {
        let status = if has_arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
        self.node.report_snapshot(id, status);
    }

    fn poll(&mut self) -> Option<Todo> {
        if !self.node.has_ready() {
            return None;
        }
        let mut ready = self.node.ready();
        let messages = ready.take_messages().into_iter().map(message_from_core).collect();
        let messages_after = ready.take_persisted_messages().into_iter().map(message_from_core).collect();
        let committed = ready.take_committed_entries().into_iter().map(entry_from_core).collect();
        let id = self.config.id.to_be_bytes();
        let question = |context: &[u8]| context.strip_prefix(&id)?.try_into().ok().map(u64::from_be_bytes);
        let read_states = ready.take_read_states().into_iter();
        let read_states = read_states.filter_map(|state| Some((question(&state.request_ctx)?, state.index)));
        let read_states = read_states.collect();

        let snapshot = Some(ready.snapshot().clone()).filter(|snapshot| snapshot.get_metadata().index > 0);
        let hard_state: Option<HardState> = ready.hs().map(hard_state_from_core);
        let entries = ready.take_entries();
        let log = self.node.mut_store();
        if let Some(snapshot) = &snapshot {
            log.install(snapshot.clone());
        }
        let installed = snapshot.as_ref().map(|snapshot| snapshot.get_metadata().index);
        log.append(&entries);
        if let Some(hard_state) = hard_state {
            log.set_hard_state(hard_state_to_core(hard_state));
        }
        let persist = Persist {
            entries: entries.into_iter().map(entry_from_core).collect(),
            hard_state,
            snapshot: snapshot.as_ref().map(snapshot_from_core),
            must_sync: ready.must_sync(),
        };
        let number = ready.number();
        self.node.advance_append_async(ready);
        if let Some(index) = installed {
            // The core looks for changes of members that are not applied in the entries after this one before it holds an election,
            // and ends the process where they are no more. The configuration of the snapshot it has already.
            self.node.raft.raft_log.applied = index;
            self.restored = index;
        }
        Some(Todo { number, messages, persist, messages_after, committed, read_states })
    }

    fn handle_persisted(&mut self, number: u64) {
        self.node.on_persist_ready(number);
    }

    fn handle_applied(&mut self, index: u64) {
        // Entries that a snapshot has overtaken may still be on their way to the state.
        if index > self.node.raft.raft_log.applied {
            self.node.advance_apply_to(index);
        }
    }

    fn has_pending_change(&self) -> bool {
        self.node.raft.state == StateRole::Leader && self.node.raft.has_pending_conf()
    }

    fn restored(&self) -> u64 {
        let given = self.node.raft.raft_log.unstable.snapshot.as_ref();
        given.map_or(self.restored, |snapshot| snapshot.get_metadata().index)
    }

    fn apply_change(&mut self, change: &ConfChangeV2) -> Result<ConfState, CoreError> {
        let change = change_to_core(change).ok_or(CoreError::Refused)?;
        let conf_state = self.node.apply_conf_change(&change).map_err(|_| CoreError::Refused)?;
        Ok(conf_state_from_core(&conf_state))
    }

    fn handle_snapshot_taken(&mut self, snapshot: SnapshotMetadata, first_index: u64) {
        self.node.mut_store().compact(snapshot_to_core(&snapshot), first_index);
    }

    fn take_snapshot_wanted(&mut self) -> bool {
        self.node.mut_store().take_newer_wanted()
    }

    fn term_of(&self, index: u64) -> Option<u64> {
        self.node.store().term_at(index)
    }

    fn look(&self) -> CoreLook {
        let raft = &self.node.raft;
        CoreLook {
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
                StateRole::Follower => Role::Follower,
            },
            term: raft.term,
            leader: raft.leader_id,
            committed: raft.raft_log.committed,
            last_index: raft.raft_log.last_index(),
            is_voter: raft.promotable(),
        }
    }

    fn conf_state(&self) -> ConfState {
        conf_state_from_core(&self.node.raft.prs().conf().to_conf_state())
    }

    fn progress(&self) -> Vec<Progress> {
        let raft = &self.node.raft;
        if raft.state != StateRole::Leader {
            return Vec::new();
        }
        let tracker = raft.prs();
        let learners = tracker.conf().learners();
        let look = |(id, progress): (&u64, &raft::Progress)| Progress {
            id: *id,
            matched: progress.matched,
            is_active: progress.recent_active || *id == raft.id,
            is_learner: learners.contains(id),
        };
        let mut all: Vec<Progress> = tracker.iter().map(look).collect();
        all.sort_by_key(|progress| progress.id);
        all
    }
}
