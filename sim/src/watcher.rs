//! Watchers: each follows the keys from a revision on, on one member and then on another, and must see every event once and in order.

use dunlin_registry::store::KeyRange;

use crate::bug::Bug;
use crate::ground::{Event, Ground};
use crate::member::Member;

/// Events that are taken at a time.
const EVENTS_MAX: usize = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Watcher {
    place: usize,
    member: u64,
    /// The life of the member in which it began.
    life: u64,
    range: KeyRange,
    /// Where it asks from, as the member's watch knows it.
    next: u64,
    /// Everything before this revision was seen.
    seen: u64,
}

impl Watcher {
    pub(crate) fn new(place: usize, range: KeyRange) -> Self {
        Self { place, member: 1, life: 0, range, next: 1, seen: 1 }
    }

    /// Takes what there is, and checks it.
    pub(crate) fn look(&mut self, members: &[Member], ground: &mut Ground) {
        let delay = ground.rng.u64(1..=40);
        ground.schedule(delay, Event::Watcher(self.place));
        if ground.rng.u8(0..10) == 0 {
            self.member = ground.rng.u64(1..=ground.plan.members);
            self.life = 0;
        }
        let Some(member) = members.iter().find(|member| member.id == self.member) else { return };
        let Some(store) = member.store().filter(|_| member.paused_until <= ground.now) else {
            self.life = 0;
            return;
        };
        if self.life != member.life {
            // A watch that begins again, from where the last one ended.
            self.life = member.life;
            self.next = self.seen;
            if ground.has(Bug::WatchSkips) {
                self.next = store.revision() + 1;
            }
            if ground.has(Bug::WatchGoesBack) {
                self.next = self.next.min(store.revision() + 1);
            }
        }
        match store.events_since(self.next, &self.range, EVENTS_MAX) {
            Ok((events, next)) => {
                self.check(&events, next, ground);
                self.next = next;
            }
            // Its keys would be read anew, as they are now.
            Err(compacted) if compacted.compacted >= self.next => {
                self.next = store.revision() + 1;
                self.seen = self.next;
            }
            Err(compacted) => {
                let text = format!("watcher {} asks from {}: {compacted}", self.place, self.next);
                ground.fail("watches see every event once", text);
            }
        }
    }

    fn check(&mut self, events: &[dunlin_registry::store::Event], next: u64, ground: &mut Ground) {
        ground.note(30, [self.member, self.next, next], || {
            format!("watcher {} sees {} events from {} to {next}", self.place, events.len(), self.next)
        });
        let mut seen = self.seen;
        for of_revision in events.chunk_by(|one, other| one.revision() == other.revision()) {
            let Some(revision) = of_revision.first().map(dunlin_registry::store::Event::revision) else {
                continue;
            };
            let expected = ground.checker.event_from(seen, &self.range);
            if expected != Some(revision) {
                let text = format!(
                    "watcher {} sees revision {revision}, and {expected:?} is what comes next",
                    self.place
                );
                ground.fail("watches see every event once", text);
                return;
            }
            if ground.checker.events_at(revision, &self.range) != of_revision {
                let text = format!("watcher {} sees other events of revision {revision}", self.place);
                ground.fail("watches see every event once", text);
                return;
            }
            seen = revision + 1;
        }
        // What it goes on from says that there is nothing before.
        let missed = ground.checker.event_from(seen, &self.range).filter(|missed| *missed < next);
        if let Some(missed) = missed {
            let text = format!("watcher {} goes on from {next} and has not seen {missed}", self.place);
            ground.fail("watches see every event once", text);
        }
        self.seen = seen.max(next);
    }
}
