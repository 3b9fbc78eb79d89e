//! How a member starts from its disk, and what is left of it when it crashes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use dunlin_rafthttp::MemberId;
use dunlin_registry::consensus::{CoreConfig, RaftRs, Recovered};
use dunlin_registry::driver::Driver;
use dunlin_registry::lease_clock::LeaseClock;
use dunlin_registry::log::{Batch, Identity, Log, LogConfig};
use dunlin_registry::store::{self, Store};
use prost::Message as _;

use super::{Member, MemberEvent, Running};
use crate::bug::Bug;
use crate::core::SimCore;
use crate::disk::{self, SimDisk};
use crate::ground::{Event, Ground};
use crate::snapshots::{Snapshots, database_of, without_clients};
use crate::writer::Writer;

impl Member {
    /// Starts it from its disk. What it cannot start from is wrong: nobody damaged it.
    pub(crate) fn start(&mut self, ground: &mut Ground) {
        self.life += 1;
        if self.life > 1 && ground.has(Bug::SyncedEndCut) && ground.rng.bool() {
            disk::cut_end(&self.disk, &mut ground.rng);
        }
        match self.recover(ground) {
            Ok(running) => {
                let (applied, last_index) = (running.store.applied(), running.view.1);
                ground.note(7, [self.id, applied, last_index], || {
                    format!("{} starts: applied {applied}, last {last_index}", self.id)
                });
                if applied != running.driver.applied() {
                    let text = format!(
                        "member {} starts with a store of index {applied}, and a log after {}",
                        self.id,
                        running.driver.applied()
                    );
                    ground.fail("every entry once", text);
                }
                self.running = Some(running);
                let first_tick = ground.rng.u64(1..=crate::plan::TICK);
                ground.schedule(first_tick, Event::Member(self.id, self.life, MemberEvent::Tick));
            }
            Err(why) => ground.fail("members start again", format!("member {}: {why}", self.id)),
        }
    }

    fn recover(&self, ground: &mut Ground) -> Result<Running, String> {
        let disk = SimDisk { disk: self.disk.clone(), lies: ground.has(Bug::SyncLies) };
        let identity = Identity { cluster_id: 1, member_id: self.id };
        let config = LogConfig::default().with_segment_len(ground.plan.segment_len);
        let (mut log, found) = Log::open(disk, identity, config).map_err(|error| format!("{error:?}"))?;
        let mut recovered =
            Recovered { hard_state: found.hard_state, snapshot: found.snapshot, entries: found.entries };
        if recovered.is_empty() {
            recovered = Recovered::bootstrap((1..=ground.plan.members).map(first_member));
            let hard_state = Some(recovered.hard_state);
            log.append(Batch { entries: &recovered.entries, hard_state, ..Batch::default() })
                .map_err(|error| format!("{error:?}"))?;
        }
        let snapshot = recovered.snapshot.clone();
        let store = self.load(snapshot.index, ground)?;
        let last_index = recovered.entries.last().map_or(snapshot.index, |entry| entry.index);
        let term = recovered.hard_state.term;
        let plan = &ground.plan;
        let config = CoreConfig {
            election_ticks: plan.election_ticks,
            // More than members have: their elections meet less often, and what goes wrong without a leader has more time to.
            election_spread_ticks: plan.election_ticks,
            append_len_max: plan.append_len_max,
            appends_in_flight_max: plan.appends_in_flight_max,
            committed_len_max: plan.committed_len_max,
            ..CoreConfig::new(self.id, plan.core_seed)
        };
        let core = RaftRs::new(config, recovered).map_err(|error| format!("{error:?}"))?;
        let known = store.members().map(|member| MemberId(member.id)).collect();
        let begin = || (1..=ground.plan.members).map(MemberId).collect();
        let known = if store.members().next().is_none() { begin() } else { known };
        let driver = Driver::new(SimCore::new(core, ground.bug), &snapshot, ground.rng.u64(..));
        Ok(Running {
            driver,
            imaged: store.applied(),
            store,
            clock: LeaseClock::default(),
            epoch: Instant::now(),
            writer: Writer::new(log, ground.bug),
            written: VecDeque::new(),
            hears_written_at: 0,
            applies: VecDeque::new(),
            is_applying: false,
            applied: VecDeque::new(),
            hears_applied_at: 0,
            imaging: None,
            is_imaging: false,
            is_gathering: false,
            unwritten: VecDeque::new(),
            waiting: BTreeMap::new(),
            view: (term, last_index),
            restored: 0,
            known,
            given: snapshot.index,
        })
    }

    /// The store of the snapshot that the log goes on from.
    pub(super) fn load(&self, index: u64, ground: &Ground) -> Result<Store, String> {
        let index = if ground.has(Bug::AppliedTwice) { self.snapshots.newest() } else { index };
        let store = self.snapshots.load(index)?;
        if store.applied() != index && !ground.has(Bug::SnapshotOfOtherIndex) {
            return Err(format!("snapshot {index} is one of {}", store.applied()));
        }
        if ground.has(Bug::ClientsForgotten) && index > 0 {
            let mut forgetful = Snapshots::default();
            forgetful.insert(index, without_clients(database_of(&store.image())));
            return forgetful.load(index);
        }
        Ok(store)
    }

    /// It ends at once. Either its machine does too, and loses what was not synced, or the process alone does.
    pub(crate) fn crash(&mut self, ground: &mut Ground) {
        self.is_doomed = false;
        let Some(mut running) = self.running.take() else { return };
        let is_process = ground.happens(ground.plan.process_crash);
        ground.note(8, [self.id, u64::from(is_process), 0], || {
            format!("{} crashes, its process alone: {is_process}", self.id)
        });
        if running.writer.is_writing() {
            // What was under way got somewhere.
            self.disk.fail_all_after(ground.rng.u64(0..=4));
            running.writer.end().ok();
            self.disk.fail_all_after(u64::MAX);
        }
        if !is_process {
            self.disk = disk::crash(&self.disk, &mut ground.rng);
        }
        self.paused_until = 0;
    }
}

/// What each of the first members is to all of them.
fn first_member(id: u64) -> (u64, Bytes) {
    let member = store::Member { id, urls: vec![format!("http://{id}")], ..store::Member::default() };
    (id, member.encode_to_vec().into())
}
