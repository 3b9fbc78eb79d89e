//! What the threads of a member do, and what its task does when it hears of it.

use dunlin_rafthttp::raftpb::Entry;
use dunlin_registry::driver::{AppliedChange, AppliedEntry, WriteJob, apply_entry};
use dunlin_registry::store::{Image, Store};

use super::{Applied, Apply, Member, MemberEvent, Running};
use crate::bug::Bug;
use crate::checker::Checker;
use crate::client::{ClientEvent, Reply};
use crate::ground::{Event, Ground};
use crate::snapshots::database_of;
use crate::writer::Written;

impl Member {
    /// The thread of the log takes what waits.
    pub(super) fn begin_write(&mut self, ground: &mut Ground) {
        let (id, life) = (self.id, self.life);
        let Some(running) = &mut self.running else { return };
        let Some(must_sync) = running.writer.begin() else { return };
        let write = ground.plan.write.clone();
        let delay = if must_sync { ground.draw(&write) } else { 0 };
        ground.schedule(delay, Event::Member(id, life, MemberEvent::WriteEnds));
        if ground.has(Bug::AcknowledgedBeforeSync)
            && let Some(promise) = running.writer.promise()
        {
            running.tell_written((id, life), promise, ground);
        }
        if must_sync && ground.happens(ground.plan.crash_in_write) {
            self.is_doomed = true;
        }
    }

    pub(super) fn end_write(&mut self, ground: &mut Ground) {
        let (id, life) = (self.id, self.life);
        let Some(running) = &mut self.running else { return };
        match running.writer.end() {
            Ok(Some(_)) if ground.has(Bug::AcknowledgedBeforeSync) => {}
            Ok(Some(written)) => running.tell_written((id, life), written, ground),
            Ok(None) => {}
            Err(error) => ground.fail("the log takes what it is given", format!("member {id}: {error:?}")),
        }
        self.begin_write(ground);
    }

    pub(super) fn hear_written(&mut self, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        match running.written.pop_front() {
            None => {}
            Some(Written::Persisted(number)) => {
                running.driver.handle_persisted(number);
                let mut messages = Vec::new();
                while running.unwritten.front().is_some_and(|(waiting, ..)| *waiting <= number) {
                    let Some((_, after, snapshot)) = running.unwritten.pop_front() else { break };
                    messages.extend(after);
                    running.applies.extend(snapshot.map(Apply::Install));
                }
                self.send(messages, ground);
                // The worst moment: what was written is known to others, and nothing was written after it.
                self.is_doomed |= ground.happens(ground.plan.crash_after_write);
            }
            Some(Written::Marked(snapshot)) => {
                let index = snapshot.index;
                running.driver.handle_snapshot_taken(snapshot, ground.plan.snapshot_tail);
                running.is_imaging = false;
                self.snapshots.purge(index);
            }
        }
    }

    /// The thread of the store takes what waits.
    pub(super) fn begin_apply(&mut self, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        if running.is_applying || running.applies.is_empty() {
            return;
        }
        running.is_applying = true;
        let apply = ground.plan.apply.clone();
        let delay = ground.draw(&apply);
        ground.schedule(delay, Event::Member(self.id, self.life, MemberEvent::ApplyEnds));
    }

    pub(super) fn end_apply(&mut self, ground: &mut Ground) {
        let life = (self.id, self.life);
        let Some(running) = &mut self.running else { return };
        running.is_applying = false;
        let Some(job) = running.applies.pop_front() else { return };
        let applied = match job {
            Apply::Entries(entries) => {
                let changes = running.apply(self.id, &entries, ground);
                Applied::Entries(running.store.applied(), changes)
            }
            Apply::Image => running.image(),
            Apply::Install(snapshot) => {
                if !ground.has(Bug::SnapshotNotInstalled) {
                    match self.load(snapshot.index, ground) {
                        Ok(store) => self.install(store, ground),
                        Err(why) => ground.fail("snapshots are there", format!("member {}: {why}", self.id)),
                    }
                }
                Applied::Installed(snapshot)
            }
        };
        let Some(running) = &mut self.running else { return };
        running.tell_applied(life, applied, ground);
        if running.store.applied().saturating_sub(running.imaged) >= ground.plan.snapshot_entries {
            let image = running.image();
            running.tell_applied(life, image, ground);
        }
        self.begin_apply(ground);
    }

    fn install(&mut self, store: Store, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        ground.note(9, [self.id, store.applied(), store.revision()], || {
            format!("{} installs the snapshot of {}", self.id, store.applied())
        });
        if store.revision() < running.store.revision() {
            let text = format!("member {} goes back to revision {}", self.id, store.revision());
            ground.fail("revisions never go back", text);
        }
        running.imaged = store.applied();
        running.store = store;
        let found = ground.checker.see_store(self.id, &running.store);
        ground.check(found);
    }

    pub(super) fn hear_applied(&mut self, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        match running.applied.pop_front() {
            None => {}
            Some(Applied::Entries(index, changes)) => {
                let is_changed = !changes.is_empty();
                // The first ones make the group.
                let is_lost = |change: &AppliedChange| ground.has(Bug::ChangeNotTold) && change.index > 5;
                let changes = changes.into_iter().filter(|change| !is_lost(change)).collect();
                running.driver.handle_applied(index, changes);
                running.take_passed_on_changes(self.id, ground);
                if is_changed {
                    running.follow_members();
                }
                running.check_configuration(self.id, ground);
            }
            Some(Applied::Installed(snapshot)) => {
                running.driver.handle_installed(&snapshot);
                running.take_passed_on_changes(self.id, ground);
                running.follow_members();
                running.check_configuration(self.id, ground);
            }
            Some(Applied::Image(image)) => self.begin_image(&image, ground),
        }
    }

    /// Has a snapshot of its own written, if none is being written.
    fn begin_image(&mut self, image: &Image, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        if std::mem::replace(&mut running.is_imaging, true) {
            return;
        }
        running.imaging = Some((image.applied(), database_of(image)));
        let time = ground.plan.image.clone();
        let delay = ground.draw(&time);
        ground.schedule(delay, Event::Member(self.id, self.life, MemberEvent::ImageEnds));
    }

    /// A snapshot of its own is on the disk: the log is to be told.
    pub(super) fn end_image(&mut self, ground: &mut Ground) {
        let Some(running) = &mut self.running else { return };
        let Some((mut index, database)) = running.imaging.take() else { return };
        if ground.has(Bug::SnapshotOfOtherIndex) {
            index = running.driver.applied();
        }
        self.snapshots.insert(index, database);
        if ground.has(Bug::SnapshotRemovedEarly) {
            self.snapshots.keep_newest();
        }
        let snapshot = running.driver.snapshot_at(index);
        ground.note(10, [self.id, index, u64::from(snapshot.is_some())], || {
            format!("{} has written its snapshot of {index}: {snapshot:?}", self.id)
        });
        running.is_imaging = snapshot.is_some();
        if let Some(snapshot) = snapshot {
            running.writer.push(WriteJob::Mark(snapshot));
        }
    }
}

impl Running {
    fn tell_written(&mut self, (id, life): (u64, u64), written: Written, ground: &mut Ground) {
        self.written.push_back(written);
        let tell = ground.plan.tell.clone();
        self.hears_written_at = self.hears_written_at.max(ground.now + ground.draw(&tell));
        ground.schedule_at(self.hears_written_at, Event::Member(id, life, MemberEvent::HearsWritten));
    }

    fn tell_applied(&mut self, (id, life): (u64, u64), applied: Applied, ground: &mut Ground) {
        self.applied.push_back(applied);
        let tell = ground.plan.tell.clone();
        self.hears_applied_at = self.hears_applied_at.max(ground.now + ground.draw(&tell));
        ground.schedule_at(self.hears_applied_at, Event::Member(id, life, MemberEvent::HearsApplied));
    }

    fn image(&mut self) -> Applied {
        let image = self.store.image();
        self.imaged = image.applied();
        Applied::Image(image)
    }

    fn apply(&mut self, id: u64, entries: &[Entry], ground: &mut Ground) -> Vec<AppliedChange> {
        let mut changes = Vec::new();
        for entry in entries {
            let before = (self.store.applied(), self.store.revision());
            if entry.index != before.0 + 1 {
                let text = format!("member {id} applies entry {} after entry {}", entry.index, before.0);
                ground.fail("every entry once", text);
                return changes;
            }
            self.apply_entry(id, entry, &mut changes, ground);
            let (index, revision) = (self.store.applied(), self.store.revision());
            ground.note(11, [id, index, revision], || format!("{id} applied {index}, revision {revision}"));
            if revision < before.1 {
                ground.fail("revisions never go back", format!("member {id} goes back to {revision}"));
            }
            if Checker::is_compared(index, ground.plan.compare_every) {
                let found = ground.checker.see_store(id, &self.store);
                ground.check(found);
            }
        }
        changes
    }

    fn apply_entry(&mut self, id: u64, entry: &Entry, changes: &mut Vec<AppliedChange>, ground: &mut Ground) {
        let seen_by = (id, ground.now);
        let applied = match apply_entry(&mut self.store, entry) {
            Ok(applied) => applied,
            Err(error) => {
                ground.fail("entries can be applied", format!("{error:?}"));
                return;
            }
        };
        let command = match &applied {
            AppliedEntry::Command(command, outcome) => Some((command, outcome)),
            AppliedEntry::Nothing | AppliedEntry::Change(_) => None,
        };
        let found = ground.checker.see_applied(seen_by, &self.store, command);
        ground.check(found);
        match applied {
            AppliedEntry::Nothing => {}
            AppliedEntry::Change(change) => changes.push(change),
            AppliedEntry::Command(command, outcome) => {
                if let Some(waiter) = self.waiting.remove(&command.request) {
                    let reply = ClientEvent::Reply(command.request, Reply::Done(outcome));
                    ground.schedule(0, Event::Client(waiter.client, reply));
                }
            }
        }
    }
}
