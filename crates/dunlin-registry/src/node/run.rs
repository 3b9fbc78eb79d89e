//! The task that owns the driver: everything comes in here, and what is to be done goes out to others. What a leader does of itself is in
//! `node/duties.rs`.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dunlin_rafthttp::raftpb::{ConfChangeV2, Message, SnapshotMetadata};
use dunlin_rafthttp::{MemberId, Snapshot as SentSnapshot, Transport};
use tokio::fs::File;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::task::TaskTracker;

use super::applier::{self, Applied, Applier};
use super::snapshots::Snapshots;
use super::state::{Health, State};
use super::writer::{self, Written};
use super::{Done, NodeConfig, Shared};
use crate::consensus::{RaftRs, Role};
use crate::driver::{Driver, Proposal, RequestId, Step, WriteJob, leads};
use crate::error::{RegistryError, chain};
use crate::lease_clock::LeaseClock;
use crate::limits::{READS_GATHER, STEPS_MAX};
use crate::log::{FsDisk, Log};
use crate::store::{Image, Member};

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// A message came that was admitted.
    Message(Message),
    /// A peer was not reached.
    Unreachable(u64),
    /// What became of a snapshot that was sent to a peer.
    SnapshotSent(u64, bool),
    /// A command is to be proposed.
    Propose(RequestId, Proposal),
    /// A change of members is to be proposed.
    Change(RequestId, ConfChangeV2, Proposal),
    /// Somebody wants to read.
    Read(RequestId),
    /// The leader is to hand over to this member.
    Transfer(u64),
    /// This member, if it leads, is to hand over to whoever is fit.
    HandOver,
}

/// Why the task ends.
enum End {
    /// Somebody said so.
    Asked,
    /// It cannot go on.
    Failed(String),
}

/// See the module.
pub(super) struct Runner {
    pub(super) driver: Driver<RaftRs>,
    pub(super) shared: Arc<Shared>,
    transport: Transport,
    snapshots: Snapshots,
    tick: Duration,
    snapshot_tail: u64,
    pub(super) clock: LeaseClock,
    to_write: mpsc::Sender<WriteJob>,
    written: mpsc::Receiver<Written>,
    to_apply: mpsc::Sender<applier::Job>,
    applied: mpsc::Receiver<Applied>,
    imaged: mpsc::Receiver<u64>,
    tell_imaged: mpsc::Sender<u64>,
    /// Messages that wait for the disk, and the snapshot to be installed after it, by the number of their step.
    unwritten: VecDeque<(u64, Vec<Message>, Option<SnapshotMetadata>)>,
    sync_took: Duration,
    health: Health,
    /// Whether a snapshot of our own is being written.
    is_imaging: bool,
}

impl Runner {
    /// Everything that runs beside it begins here, among the tasks that a stop waits for.
    pub(super) fn new(
        (driver, log): (Driver<RaftRs>, Log<FsDisk>),
        config: &NodeConfig,
        (shared, transport, snapshots): (&Arc<Shared>, &Transport, Snapshots),
        tasks: &TaskTracker,
    ) -> Self {
        // Each step that is under way has one answer, so answers always have room.
        let (to_write, jobs) = mpsc::channel(STEPS_MAX);
        let (tell_written, written) = mpsc::channel(2 * STEPS_MAX);
        tasks.spawn_blocking(move || writer::run(log, jobs, &tell_written));
        let (to_apply, jobs) = mpsc::channel(STEPS_MAX);
        let (tell_applied, applied) = mpsc::channel(2 * STEPS_MAX);
        let applier = Applier {
            shared: shared.clone(),
            snapshots: snapshots.clone(),
            snapshot_entries: config.snapshot_entries,
            imaged: driver.applied(),
        };
        tasks.spawn_blocking(move || applier.run(jobs, &tell_applied));
        let (tell_imaged, imaged) = mpsc::channel(1);
        Self {
            driver,
            shared: shared.clone(),
            transport: transport.clone(),
            snapshots,
            tick: config.tick,
            snapshot_tail: config.snapshot_tail,
            clock: LeaseClock::default(),
            to_write,
            written,
            to_apply,
            applied,
            imaged,
            tell_imaged,
            unwritten: VecDeque::new(),
            sync_took: Duration::ZERO,
            health: Health::Running,
            is_imaging: false,
        }
    }

    /// Runs until it is stopped or cannot go on; then nobody waits for anything here any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Input>) {
        let shared = self.shared.clone();
        let running = async move { self.work(&mut inbox).await };
        let end = futures_util::FutureExt::catch_unwind(AssertUnwindSafe(running)).await;
        let why = match end {
            Ok(End::Asked) => None,
            Ok(End::Failed(why)) => Some(why),
            Err(panic) => Some(format!("the raft core panicked: {}", text_of(panic.as_ref()))),
        };
        if let Some(why) = &why {
            tracing::error!(member = %shared.id, why, "the member stops");
        }
        shared.stop.cancel();
        shared.state.send_modify(|state| state.health = Health::Stopped(why));
        shared.waiting().stop();
    }

    async fn work(&mut self, inbox: &mut mpsc::Receiver<Input>) -> End {
        let stop = self.shared.stop.clone();
        let mut ticks = interval(self.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut critical = self.transport.critical();
        let mut inputs = Vec::with_capacity(INPUTS_AT_A_TIME);
        let mut gather = pin!(sleep(READS_GATHER));
        let mut is_gathering = false;
        loop {
            if let Err(end) = self.act() {
                return end;
            }
            let was_gathering = std::mem::replace(&mut is_gathering, self.driver.is_gathering());
            if is_gathering && !was_gathering {
                gather.as_mut().reset(Instant::now() + READS_GATHER);
            }
            tokio::select! {
                // What ends work comes before what brings more.
                biased;
                () = stop.cancelled() => return End::Asked,
                Ok(critical) = critical.wait_for(Option::is_some) => {
                    // A member that was away when it was removed hears of it from those that stayed.
                    let why = critical.map_or_else(String::new, |critical| critical.to_string());
                    return End::Failed(why);
                }
                _ = ticks.tick() => self.handle_tick(),
                Some(written) = self.written.recv() => {
                    if let Err(end) = self.handle_written(written) {
                        return end;
                    }
                }
                Some(applied) = self.applied.recv() => {
                    if let Err(end) = self.handle_applied(applied) {
                        return end;
                    }
                }
                () = &mut gather, if is_gathering => self.driver.handle_gathered(),
                Some(index) = self.imaged.recv() => self.handle_imaged(index),
                count = inbox.recv_many(&mut inputs, INPUTS_AT_A_TIME) => {
                    if count == 0 {
                        return End::Asked;
                    }
                    inputs.drain(..).for_each(|input| self.handle_input(input));
                }
                else => return End::Failed("a thread of the member has ended".to_owned()),
            }
        }
    }

    fn handle_input(&mut self, input: Input) {
        match input {
            Input::Message(message) => self.handle_message(message),
            Input::Unreachable(id) => self.driver.handle_unreachable(id),
            Input::SnapshotSent(id, has_arrived) => self.driver.handle_snapshot_sent(id, has_arrived),
            Input::Propose(request, proposal) => {
                if self.driver.handle_proposal(request, proposal).is_err() {
                    self.refuse(request, RegistryError::Overloaded);
                }
            }
            Input::Change(request, change, proposal) => {
                let checked = self.shared.store().check_change(&change);
                let taken = checked
                    .map_err(RegistryError::from)
                    .and_then(|()| Ok(self.driver.handle_change(request, (&change, proposal))?));
                if let Err(error) = taken {
                    self.refuse(request, error);
                }
            }
            Input::Read(request) => {
                if self.driver.handle_read(request).is_err() {
                    self.refuse(request, RegistryError::Overloaded);
                }
            }
            Input::Transfer(to) => self.driver.handle_transfer(to),
            Input::HandOver => self.hand_over(),
        }
    }

    fn handle_message(&mut self, message: Message) {
        let (from, shared) = (message.from, self.shared.clone());
        // The store is looked at for a change of members alone: whoever applies may have it for a while.
        let taken = self.driver.handle_message(message, |change| shared.store().check_change(change));
        if let Err(error) = taken {
            let why = chain(&error);
            tracing::warn!(member = %self.shared.id, from, why, "a change that was passed on is not proposed");
        }
    }

    /// Changes of others that waited for one that is applied now.
    fn take_passed_on_changes(&mut self) {
        if let Some(message) = self.driver.take_passed_on_changes() {
            self.handle_message(message);
        }
    }

    fn refuse(&self, request: RequestId, error: RegistryError) {
        self.shared.waiting().tell(request, Done::Refused(error));
    }

    fn handle_tick(&mut self) {
        self.driver.handle_tick();
        if self.driver.take_snapshot_wanted() && !self.is_imaging {
            // Without room for it, it is wanted again with the next message to whoever needs it.
            self.to_apply.try_send(applier::Job::Image).ok();
        }
        if leads(&self.driver.look()) {
            self.expire_leases();
            self.promote();
        }
        self.tell_state();
    }

    fn handle_written(&mut self, written: Written) -> Result<(), End> {
        match written {
            Written::Persisted { number, took } => {
                if let Some(took) = took {
                    self.sync_took = took;
                    metrics::histogram!("dunlin_registry_sync_seconds").record(took.as_secs_f64());
                }
                self.driver.handle_persisted(number);
                while self.unwritten.front().is_some_and(|(waiting, ..)| *waiting <= number) {
                    let Some((_, messages, snapshot)) = self.unwritten.pop_front() else { break };
                    self.send(messages);
                    if let Some(snapshot) = snapshot {
                        self.apply(applier::Job::Install(snapshot))?;
                    }
                }
            }
            Written::Marked(snapshot) => {
                let index = snapshot.index;
                self.driver.handle_snapshot_taken(snapshot, self.snapshot_tail);
                self.is_imaging = false;
                let snapshots = self.snapshots.clone();
                tokio::task::spawn_blocking(move || {
                    if let Err(error) = snapshots.purge(index) {
                        tracing::warn!(%error, "old snapshots could not be removed");
                    }
                });
            }
            Written::Full(why) => {
                tracing::error!(member = %self.shared.id, why, "the disk is full");
                self.health = Health::DiskFull(why);
                self.hand_over();
            }
            Written::Fits => self.health = Health::Running,
            Written::Failed(error) => return Err(End::Failed(chain(&error))),
        }
        Ok(())
    }

    fn handle_applied(&mut self, applied: Applied) -> Result<(), End> {
        match applied {
            Applied::Entries { index, changes } => {
                let is_changed = !changes.is_empty();
                self.driver.handle_applied(index, changes);
                self.take_passed_on_changes();
                if is_changed {
                    self.follow_members()?;
                }
            }
            Applied::Image(image) => self.write_image(image),
            Applied::Installed(snapshot) => {
                self.driver.handle_installed(&snapshot);
                self.take_passed_on_changes();
                self.follow_members()?;
            }
            Applied::Failed(error) => return Err(End::Failed(chain(&error))),
        }
        Ok(())
    }

    /// Has a snapshot written, if none is being written.
    fn write_image(&mut self, image: Image) {
        if std::mem::replace(&mut self.is_imaging, true) {
            return;
        }
        let (snapshots, tell) = (self.snapshots.clone(), self.tell_imaged.clone());
        tokio::task::spawn_blocking(move || {
            let index = image.applied();
            let is_written = snapshots.write(&image);
            if let Err(error) = &is_written {
                tracing::error!(%error, index, "a snapshot could not be written");
            }
            // The other end is gone when the member stops; 0 says that there is none.
            tell.blocking_send(if is_written.is_ok() { index } else { 0 }).ok();
        });
    }

    /// A snapshot of our own is on the disk: the log is told.
    fn handle_imaged(&mut self, index: u64) {
        let snapshot = self.driver.snapshot_at(index);
        let is_taken =
            snapshot.is_some_and(|snapshot| self.to_write.try_send(WriteJob::Mark(snapshot)).is_ok());
        // One that is not taken is tried again after as many entries.
        self.is_imaging = is_taken;
    }

    /// Peers are the members of the store.
    fn follow_members(&self) -> Result<(), End> {
        let store = self.shared.store();
        if store.is_removed(self.shared.id.0) {
            return Err(End::Failed("this member was removed from its group".to_owned()));
        }
        let members: Vec<Member> = store.members().cloned().collect();
        let removed: Vec<u64> = store.removed_members().collect();
        drop(store);
        for id in removed {
            self.transport.remove_peer(MemberId(id));
        }
        for member in members.iter().filter(|member| member.id != self.shared.id.0) {
            let urls = || member.urls.iter().map(String::as_str);
            let id = MemberId(member.id);
            let added =
                self.transport.add_peer(id, urls()).and_then(|()| self.transport.update_peer(id, urls()));
            if let Err(error) = added {
                tracing::error!(member = %id, %error, "a member cannot be reached: its URLs will not do");
            }
        }
        Ok(())
    }

    /// Does what is to be done, as long as there is room to give it to.
    fn act(&mut self) -> Result<(), End> {
        let forgotten = self.shared.waiting().take_forgotten();
        forgotten.into_iter().for_each(|request| self.driver.handle_forgotten(request));
        while self.to_write.capacity() > 1 && self.to_apply.capacity() > 1 {
            let Some(step) = self.driver.poll() else { return Ok(()) };
            self.take(step)?;
        }
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), End> {
        let look = self.driver.look();
        // Before the messages that say it to others: their answers are judged by it.
        self.transport.set_progress(look.term, look.last_index);
        if let Some(look) = step.look {
            tracing::info!(member = %self.shared.id, term = look.term, leader = look.leader, role = ?look.role, "raft");
            self.clock.forget();
            self.tell_state();
        }
        self.send(step.messages);
        self.send_snapshots(step.snapshots);
        let mut waiting = self.shared.waiting();
        for request in step.reads {
            waiting.tell(request, Done::Readable);
        }
        drop(waiting);
        for (request, error) in step.refused {
            self.refuse(request, error.into());
        }
        if step.number > 0 {
            self.unwritten.push_back((step.number, step.messages_after, step.persist.snapshot.clone()));
            let job = WriteJob::Step { number: step.number, persist: step.persist };
            self.to_write.try_send(job).map_err(|_| End::Failed("the log's thread has ended".to_owned()))?;
        }
        if !step.committed.is_empty() {
            self.apply(applier::Job::Entries(step.committed))?;
        }
        Ok(())
    }

    fn apply(&self, job: applier::Job) -> Result<(), End> {
        self.to_apply.try_send(job).map_err(|_| End::Failed("the store's thread has ended".to_owned()))
    }

    fn send(&self, messages: Vec<Message>) {
        if !messages.is_empty() {
            self.transport.send(messages);
        }
    }

    /// Sends snapshots with their databases, beside everything else. The transport tells what became of each.
    fn send_snapshots(&self, messages: Vec<Message>) {
        for message in messages {
            let (transport, path) =
                (self.transport.clone(), self.snapshots.path(message.snapshot.metadata.index));
            let (inputs, to) = (self.shared.inputs.clone(), message.to);
            tokio::spawn(async move {
                let opened = async {
                    let file = File::open(&path).await?;
                    let database_len = file.metadata().await?.len();
                    Ok::<_, std::io::Error>((file, database_len))
                };
                match opened.await {
                    Ok((file, database_len)) => {
                        let database = Box::pin(file);
                        transport.send_snapshot(SentSnapshot { message, database, database_len }).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, path = %path.display(), "a snapshot cannot be sent");
                        // Raft would wait for ever; a full inbox empties.
                        inputs.send(Input::SnapshotSent(to, false)).await.ok();
                    }
                }
            });
        }
    }

    fn tell_state(&self) {
        let look = self.driver.look();
        let state = State {
            health: self.health.clone(),
            role: look.role,
            term: look.term,
            leader: look.leader,
            is_voter: look.is_voter,
            committed: look.committed,
            applied: self.driver.applied(),
            sync_took: self.sync_took,
            progress: self.driver.progress(),
        };
        metrics::gauge!("dunlin_registry_is_leader").set(f64::from(u8::from(state.role == Role::Leader)));
        metrics::gauge!("dunlin_registry_has_leader").set(f64::from(u8::from(state.leader != 0)));
        metrics::gauge!("dunlin_registry_committed_index").set(state.committed as f64);
        metrics::gauge!("dunlin_registry_applied_index").set(state.applied as f64);
        self.shared.state.send_if_modified(|known| {
            let is_news = *known != state;
            *known = state;
            is_news
        });
    }
}

/// Inputs that are taken before it is looked what follows from them.
const INPUTS_AT_A_TIME: usize = 256;

/// What a panic says.
fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}
