//! A member: the shipped driver, log, store and lease clock, and around them a shell that does what `node/run.rs`, `node/writer.rs` and
//! `node/applier.rs` of the registry do, one event at a time.
//!
//! The order is theirs: what is persisted is told to the driver before the messages that waited for it are sent and a leader's
//! snapshot is installed; what is committed is applied, and told to the driver later; a snapshot of its own is an image, then on the
//! disk, then a mark in the log, and then the driver hears of it. `member/life.rs`: how it starts and crashes. `member/work.rs`: what
//! its threads do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dunlin_rafthttp::raftpb::{ConfChangeType, ConfChangeV2, Entry, EntryType, Message, SnapshotMetadata};
use dunlin_rafthttp::{Admission, LocalView, MemberId, Refusal, Strangers, admit};
use dunlin_registry::driver::{
    AppliedChange, Driver, Proposal, RequestId, Step, WriteJob, leads, member_change,
};
use dunlin_registry::lease_clock::LeaseClock;
use dunlin_registry::log::MemDisk;
use dunlin_registry::store::{Command, Image, KeyRange, LeaseRevoke, MemberError, Operation, Store};
use prost::Message as _;

use crate::bug::Bug;
use crate::client::{ClientEvent, Reply};
use crate::core::SimCore;
use crate::ground::{Envelope, Event, Ground};
use crate::plan::{TICK, Time, UNIT_MS};
use crate::snapshots::Snapshots;
use crate::writer::{Writer, Written};

mod life;
mod work;

/// What happens to a member.
#[derive(Debug)]
pub(crate) enum MemberEvent {
    /// A tick is over.
    Tick,
    /// Those for whom reads waited had time to come.
    Gathered,
    /// The write that is under way ends.
    WriteEnds,
    /// Its task hears of something that was written.
    HearsWritten,
    /// What is being applied is applied.
    ApplyEnds,
    /// Its task hears of something that was applied.
    HearsApplied,
    /// A snapshot of its own is on the disk.
    ImageEnds,
    /// A peer was not reached.
    Unreachable(u64),
    /// What became of a snapshot that was sent to a peer.
    SnapshotSent(u64, bool),
    /// A client asks.
    Ask(usize, RequestId, Ask),
    /// A client no longer waits.
    Forget(RequestId),
    /// Leadership is asked for elsewhere.
    Transfer(u64),
    /// A vote is to be taken from a member, or given to one.
    Change(ConfChangeType, u64),
}

/// What a client asks.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// That this is done.
    Execute(Command),
    /// What a key is.
    Read(Bytes),
}

/// Something to be applied.
#[derive(Debug)]
enum Apply {
    Entries(Vec<Entry>),
    Install(SnapshotMetadata),
    Image,
}

/// What became of it.
#[derive(Debug)]
enum Applied {
    Entries(u64, Vec<AppliedChange>),
    Image(Image),
    Installed(SnapshotMetadata),
}

/// Who waits for what.
#[derive(Debug)]
struct Waiter {
    client: usize,
    /// The key of a read.
    key: Option<Bytes>,
}

/// A member, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: u64,
    /// Counts how often it started.
    pub(crate) life: u64,
    disk: MemDisk,
    snapshots: Snapshots,
    running: Option<Running>,
    /// It stands still until then.
    pub(crate) paused_until: Time,
    /// Whether it is to crash at once.
    pub(crate) is_doomed: bool,
}

/// What is lost when a member crashes.
#[derive(Debug)]
struct Running {
    driver: Driver<SimCore>,
    store: Store,
    clock: LeaseClock,
    /// Where its clock began.
    epoch: Instant,
    writer: Writer,
    /// What its task has yet to hear, in order, and when it hears of the last of it.
    written: VecDeque<Written>,
    hears_written_at: Time,
    applies: VecDeque<Apply>,
    is_applying: bool,
    applied: VecDeque<Applied>,
    hears_applied_at: Time,
    /// The index of the last image, and the one that is being written.
    imaged: u64,
    imaging: Option<(u64, Bytes)>,
    is_imaging: bool,
    /// Whether it is to be told that reads have gathered.
    is_gathering: bool,
    /// Messages that wait for the disk, and the snapshot to be installed after it, by the number of their step.
    unwritten: VecDeque<(u64, Vec<Message>, Option<SnapshotMetadata>)>,
    waiting: BTreeMap<RequestId, Waiter>,
    /// Term and last index, as others may know them.
    view: (u64, u64),
    /// The index of the last snapshot that came; one that was not taken is not ahead of it for long.
    restored: u64,
    /// Whom its transport knows: as the registry's node has it, who is said to begin with and who is in the store.
    known: BTreeSet<MemberId>,
    /// The last index that was given to be applied.
    given: u64,
}

impl Member {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            life: 0,
            disk: MemDisk::default(),
            snapshots: Snapshots::default(),
            running: None,
            paused_until: 0,
            is_doomed: false,
        }
    }

    pub(crate) const fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Its store, when it runs.
    pub(crate) fn store(&self) -> Option<&Store> {
        self.running.as_ref().map(|running| &running.store)
    }

    /// The last index of its log, when it runs.
    pub(crate) fn last_index(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.view.1)
    }

    /// Who votes and who learns, as its core has it.
    pub(crate) fn configuration(&self) -> Option<(Vec<u64>, Vec<u64>)> {
        let mut of = self.running.as_ref()?.driver.conf_state();
        of.voters.sort_unstable();
        of.learners.sort_unstable();
        Some((of.voters, of.learners))
    }

    /// Whether it leads, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.running.as_ref().is_some_and(|running| leads(&running.driver.look()))
    }

    /// Something happens to it in this life of it.
    pub(crate) fn handle(&mut self, event: MemberEvent, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        match event {
            MemberEvent::Tick => {
                running.handle_tick(self.id, ground);
                let tick = usize::try_from(self.id - 1).ok().and_then(|place| ground.plan.ticks.get(place));
                let tick = tick.copied().unwrap_or(TICK);
                ground.schedule(tick, Event::Member(self.id, self.life, MemberEvent::Tick));
            }
            MemberEvent::Gathered => {
                running.is_gathering = false;
                running.driver.handle_gathered();
            }
            MemberEvent::WriteEnds => {
                self.end_write(ground);
                return;
            }
            MemberEvent::ApplyEnds => {
                self.end_apply(ground);
                return;
            }
            MemberEvent::HearsWritten => self.hear_written(ground),
            MemberEvent::HearsApplied => self.hear_applied(ground),
            MemberEvent::ImageEnds => self.end_image(ground),
            MemberEvent::Unreachable(id) => running.driver.handle_unreachable(id),
            MemberEvent::SnapshotSent(id, has_arrived) => {
                running.driver.handle_snapshot_sent(id, has_arrived);
            }
            MemberEvent::Ask(client, request, ask) => self.handle_ask((client, request), ask, ground),
            MemberEvent::Forget(request) => {
                running.waiting.remove(&request);
                running.driver.handle_forgotten(request);
            }
            MemberEvent::Change(change_type, id) => {
                running.change((self.id, self.life), (change_type, id), ground);
            }
            MemberEvent::Transfer(to) => running.driver.handle_transfer(to),
        }
        self.act(ground);
    }

    /// A message arrives: what the transport does, and then the task.
    pub(crate) fn handle_message(&mut self, mut envelope: Envelope, ground: &mut Ground) {
        let Some(running) = &mut self.running else {
            ground.lose(&envelope);
            return;
        };
        let me = MemberId(self.id);
        // Everybody says where it is with each request, so whom the store does not know yet is about to be known.
        let joining = (1..=ground.plan.members).map(MemberId).collect();
        let nobody = BTreeSet::new();
        let view = LocalView {
            me,
            sender: MemberId(envelope.from),
            members: &running.known,
            joining: &joining,
            removed: &nobody,
            strangers: Strangers::Announced,
            term: running.view.0,
            last_index: running.view.1,
        };
        let admission = admit(&view, &mut envelope.message);
        if let Some(database) = envelope.database.clone() {
            ground.tell_sender(&envelope, admission.is_ok());
            if admission == Ok(Admission::Deliver)
                && !self.receive_snapshot(&envelope.message, database, ground)
            {
                return;
            }
        }
        match admission {
            Ok(Admission::Deliver) => {
                if let Some(running) = &mut self.running {
                    running.restored = running.restored.max(envelope.message.snapshot.metadata.index);
                    running.hear(self.id, envelope.message, ground);
                }
                self.act(ground);
            }
            Ok(Admission::Ignore(ignored)) => {
                ground.note(3, [self.id, envelope.from, 0], || {
                    format!("{} ignores a message of {}: {ignored}", self.id, envelope.from)
                });
            }
            // A member that has just started from an early snapshot does not know everybody again yet.
            Err(refusal @ Refusal::Stranger { .. }) => {
                ground.note(13, [self.id, envelope.from, 0], || {
                    format!("{} refuses a message of {}: {refusal}", self.id, envelope.from)
                });
            }
            Err(refusal) => {
                let text = format!("member {} refuses a message of {}: {refusal}", self.id, envelope.from);
                ground.fail("members refuse nothing of each other", text);
            }
        }
    }

    /// Keeps the database of a snapshot that came, if it is one.
    fn receive_snapshot(&mut self, message: &Message, database: Bytes, ground: &mut Ground) -> bool {
        let index = message.snapshot.metadata.index;
        let store = Store::from_image(&mut &database[..]);
        let fits = store.is_ok_and(|store| store.applied() == index);
        if !fits && !ground.has(Bug::SnapshotOfOtherIndex) {
            let text = format!("member {} gets a snapshot of index {index} that is none", self.id);
            ground.fail("snapshots are what they say", text);
            return false;
        }
        self.snapshots.insert(index, database);
        true
    }

    fn handle_ask(&mut self, (client, request): (usize, RequestId), ask: Ask, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        let (key, taken) = match ask {
            Ask::Execute(mut command) => {
                if ground.has(Bug::NumberNotSent) {
                    command.client = 0;
                }
                let data = command.encode_to_vec().into();
                let proposal = Proposal { entry_type: EntryType::Normal, data, is_repeatable: true };
                if ground.has(Bug::AnsweredBeforeCommit) && leads(&running.driver.look()) {
                    let mut ahead = running.store.clone();
                    let outcome = ahead.apply(ahead.applied() + 1, &command);
                    ground.schedule(
                        0,
                        Event::Client(client, ClientEvent::Reply(request, Reply::Done(outcome))),
                    );
                }
                (None, running.driver.handle_proposal(request, proposal).is_ok())
            }
            Ask::Read(key) if ground.has(Bug::StaleRead) => {
                let reply = running.read(&key);
                ground.schedule(0, Event::Client(client, ClientEvent::Reply(request, reply)));
                return;
            }
            Ask::Read(key) => (Some(key), running.driver.handle_read(request).is_ok()),
        };
        if taken {
            running.waiting.insert(request, Waiter { client, key });
        } else {
            ground.schedule(0, Event::Client(client, ClientEvent::Reply(request, Reply::Refused)));
        }
    }

    /// Does what is to be done, as long as there is room to give it to.
    fn act(&mut self, ground: &mut Ground) {
        while let Some(running) = &mut self.running
            && running.writer.jobs_len() < ground.plan.steps_max
            && running.applies.len() < ground.plan.steps_max
            && ground.wrong.is_none()
        {
            let Some(step) = running.driver.poll() else { break };
            self.take(step, ground);
        }
        if let Some(running) = &self.running {
            let driver = &running.driver;
            let term_of = |index| driver.snapshot_at(index).map(|snapshot| snapshot.term);
            let found = ground.checker.see_look((self.id, &driver.look()), term_of);
            ground.check(found);
        }
        if let Some(running) = &mut self.running
            && running.driver.is_gathering()
            && !std::mem::replace(&mut running.is_gathering, true)
        {
            ground.schedule(1, Event::Member(self.id, self.life, MemberEvent::Gathered));
        }
        self.begin_write(ground);
        self.begin_apply(ground);
    }

    fn take(&mut self, step: Step, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        let look = running.driver.look();
        running.view = (look.term, look.last_index);
        ground.note(4, [self.id, look.term, look.committed], || {
            let (entries, hard_state) = (step.persist.entries.len(), step.persist.hard_state);
            let applied = (step.committed.first().map(|e| e.index), step.committed.last().map(|e| e.index));
            format!(
                "{} step {}: {look:?} writes {entries} {hard_state:?} applies {applied:?}",
                self.id, step.number
            )
        });
        if step.look.is_some() {
            running.clock.forget();
        }
        running.given = see_given(self.id, running.given, &step, ground);
        let snapshot = step.persist.snapshot.clone();
        self.send(step.messages, ground);
        self.send_snapshots(step.snapshots, ground);
        let Some(running) = &mut self.running else { return };
        for request in step.reads {
            running.answer_read(request, ground);
        }
        let mut after = step.messages_after;
        if ground.has(Bug::SentBeforeWritten) {
            self.send(std::mem::take(&mut after), ground);
        }
        let Some(running) = &mut self.running else { return };
        if step.number > 0 {
            running.unwritten.push_back((step.number, after, snapshot));
            running.writer.push(WriteJob::Step { number: step.number, persist: step.persist });
        }
        if let Some(last) = step.committed.last().map(|entry| entry.index) {
            running.applies.push_back(Apply::Entries(step.committed));
            if ground.has(Bug::AppliedToldEarly) {
                running.driver.handle_applied(last, Vec::new());
            }
        }
    }

    fn send(&self, messages: Vec<Message>, ground: &mut Ground) {
        for message in messages {
            ground.note(5, [self.id, message.to, message.index], || {
                let kind = message.msg_type().map_or_else(|_| "?".to_owned(), |kind| format!("{kind:?}"));
                let (to, term, index, commit) = (message.to, message.term, message.index, message.commit);
                let (entries, reject) = (message.entries.len(), message.reject);
                format!("{} -> {to} {kind} term {term} index {index} commit {commit} entries {entries} reject {reject}", self.id)
            });
            ground.send(Envelope { from: self.id, life: self.life, message, database: None });
        }
    }

    /// Sends snapshots with their databases.
    fn send_snapshots(&self, messages: Vec<Message>, ground: &mut Ground) {
        for message in messages {
            let index = message.snapshot.metadata.index;
            ground.note(6, [self.id, message.to, index], || {
                format!("{} -> {} snapshot of {index}", self.id, message.to)
            });
            let Some(database) = self.snapshots.get(index) else {
                ground.fail(
                    "snapshots are there",
                    format!("member {} has no snapshot {index} to send", self.id),
                );
                return;
            };
            ground.send(Envelope { from: self.id, life: self.life, message, database: Some(database) });
        }
    }
}

impl Running {
    fn handle_tick(&mut self, id: u64, ground: &mut Ground) {
        self.driver.handle_tick();
        if self.driver.take_snapshot_wanted() && !self.is_imaging {
            self.applies.push_back(Apply::Image);
        }
        if leads(&self.driver.look()) {
            self.expire_leases(id, ground);
        }
    }

    /// Looks whether core and store agree on who votes, when both are equally far.
    fn check_configuration(&self, id: u64, ground: &mut Ground) {
        // A snapshot that came and is not installed is ahead of the store.
        let is_overtaken = self.driver.applied() < self.restored;
        if is_overtaken || self.store.applied() != self.driver.applied() || !self.applied.is_empty() {
            return;
        }
        let of_core = self.driver.conf_state();
        let voters: BTreeSet<u64> = of_core.voters.iter().copied().collect();
        let votes = |member: &&dunlin_registry::store::Member| !member.is_learner;
        let of_store: BTreeSet<u64> = self.store.members().filter(votes).map(|member| member.id).collect();
        if voters != of_store {
            let text = format!(
                "at index {} of member {id} {voters:?} vote, and {of_store:?} by the store",
                self.driver.applied()
            );
            ground.fail("core and store agree on members", text);
        }
    }

    /// The task hears a message.
    fn hear(&mut self, me: u64, message: Message, ground: &mut Ground) {
        let (from, voters) = (message.from, self.driver.conf_state().voters.len());
        let check = |change: &ConfChangeV2| check_change(&self.store, voters, change);
        if let Err(error) = self.driver.handle_message(message, check) {
            ground.note(14, [me, from, 0], || {
                format!("{me} does not propose what {from} passed on: {error:?}")
            });
        }
    }

    /// Changes of others that waited for one that is applied now.
    fn take_passed_on_changes(&mut self, me: u64, ground: &mut Ground) {
        if let Some(message) = self.driver.take_passed_on_changes() {
            self.hear(me, message, ground);
        }
    }

    /// Asks for a change of members, if it is one that may be.
    fn change(
        &mut self,
        (me, life): (u64, u64),
        (change_type, id): (ConfChangeType, u64),
        ground: &mut Ground,
    ) {
        let request = ground.next_request();
        let (change, proposal) = member_change(request, change_type, id, Bytes::new());
        let checked = check_change(&self.store, self.driver.conf_state().voters.len(), &change);
        let taken = checked.is_ok() && self.driver.handle_change(request, (&change, proposal)).is_ok();
        if taken {
            // Without a leader it waits for one, as long as whoever asked does.
            let event = MemberEvent::Forget(request);
            ground.schedule(ground.plan.request_timeout, Event::Member(me, life, event));
        }
        ground.note(14, [me, id, u64::from(taken)], || {
            format!("{change_type:?} of {id} is asked of {me}: {taken}")
        });
    }

    /// Proposes to end the leases that are over.
    fn expire_leases(&mut self, id: u64, ground: &Ground) {
        // A clock runs as fast as the ticks of its member: those come late where it is slow.
        let tick = usize::try_from(id - 1).ok().and_then(|place| ground.plan.ticks.get(place)).copied();
        let scaled = ground.now * UNIT_MS * TICK / tick.unwrap_or(TICK).max(8);
        let now = self.epoch + Duration::from_millis(scaled);
        let sees_renewals = !ground.has(Bug::RenewalNotSeen);
        let leases = self.store.leases().map(|mut look| {
            look.renewed_at *= u64::from(sees_renewals);
            look
        });
        for look in self.clock.look(now, leases.collect::<Vec<_>>()) {
            let renewed_at = self.store.lease(look.lease).map(|look| look.renewed_at);
            let if_renewed_at = if ground.has(Bug::LeaseWithoutGuard) { None } else { renewed_at };
            let revoke = LeaseRevoke { lease: look.lease, if_renewed_at };
            let command = Command { operation: Some(Operation::LeaseRevoke(revoke)), ..Command::default() };
            self.driver.handle_unattended(command.encode_to_vec().into());
        }
    }

    /// The transport learns of members that the store knows.
    fn follow_members(&mut self) {
        self.known.extend(self.store.members().map(|member| MemberId(member.id)));
    }

    fn read(&self, key: &Bytes) -> Reply {
        Reply::Got(self.store.range(&KeyRange::key(key.clone()), 1).entries.into_iter().next())
    }

    fn answer_read(&mut self, request: RequestId, ground: &mut Ground) {
        let Some(waiter) = self.waiting.remove(&request) else { return };
        let reply = waiter.key.map_or(Reply::Refused, |key| self.read(&key));
        ground.schedule(0, Event::Client(waiter.client, ClientEvent::Reply(request, reply)));
    }
}

/// What the registry has against a change of members, and that from two voters to one there is no safe way: the one that is left may
/// never hear that it is alone, and waits for the other.
fn check_change(store: &Store, voters: usize, change: &ConfChangeV2) -> Result<(), MemberError> {
    for step in &change.changes {
        if step.change_type() != Ok(ConfChangeType::AddNode) && voters <= 2 {
            return Err(MemberError::Unknown { id: step.node_id });
        }
    }
    store.check_change(change)
}

/// Looks at what a step gives to be applied: it follows what was given before, and is what others took for committed.
fn see_given(id: u64, given: u64, step: &Step, ground: &mut Ground) -> u64 {
    let mut given = step.persist.snapshot.as_ref().map_or(given, |snapshot| snapshot.index);
    for entry in &step.committed {
        if entry.index != given + 1 {
            ground.fail(
                "every entry once",
                format!("member {id} is given entry {} after entry {given}", entry.index),
            );
        }
        given = entry.index;
        let found = ground.checker.see_committed(id, entry.index, (entry.term, crc32fast::hash(&entry.data)));
        ground.check(found);
    }
    given
}
