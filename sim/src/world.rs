//! One run: members, clients and watchers in one loop, from the first event to the verdict.
//!
//! First faults come as the plan has it; then they are over, every member runs, and the group has to show that it does its work: a
//! command is done in time, all members come to the same state, leases that nobody keeps alive end, and some order explains
//! everything that clients were told.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dunlin_rafthttp::raftpb::ConfChangeType;
use dunlin_registry::store::{KeyRange, Store};
use fastrand::Rng;

use crate::bug::Bug;
use crate::client::{Client, ClientEvent};
use crate::ground::{Event, Fault, Ground};
use crate::history::{self, Act};
use crate::member::{Member, MemberEvent};
use crate::plan::{Plan, Spells, TICK, Time};
use crate::watcher::Watcher;

/// After the faults, when a command is asked for, by when it must be done, and by when all members must be equal.
const PROBE_AFTER: Time = 15 * TICK;
const DONE_WITHIN: Time = 80 * TICK;

/// What is added to that for each entry that some member has yet to apply: some groups send them one by one.
const TIME_OF_ENTRY: Time = TICK;

/// Events after which a run is no longer believed to end.
const STEPS_MAX: u64 = 2_000_000;

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The hash of everything that happened.
    pub trace: u64,
    /// Events that were handled.
    pub steps: u64,
    /// Messages that were sent between members.
    pub messages: u64,
    /// Entries that were committed.
    pub committed: usize,
    /// Acts of clients that were judged.
    pub acts: usize,
    /// What was wrong, by which checker.
    pub wrong: Option<(String, String)>,
    /// What happened, if it was wanted.
    pub events: Vec<String>,
}

/// What of a run is kept to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// What happened last.
    Last,
    /// Everything.
    All,
}

struct World {
    ground: Ground,
    members: Vec<Member>,
    clients: Vec<Client>,
    watchers: Vec<Watcher>,
    steps: u64,
    is_over: bool,
    judged_again: u32,
    /// What all members together had applied when they were judged last.
    judged_applied: u64,
    acts: usize,
}

/// Runs the simulation of this seed.
#[must_use]
pub fn run(seed: u64, bug: Option<Bug>, keep: Keep) -> Report {
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::draw(&mut rng);
    let mut ground = Ground::new(plan, bug, rng);
    if keep != Keep::Nothing {
        ground.keep_events(keep == Keep::All);
    }
    let mut world = World::new(ground);
    // A core that panics ends its member; nothing that is right makes it panic.
    let ran = catch_unwind(AssertUnwindSafe(|| world.work()));
    if let Err(panic) = ran {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.ground.fail("nobody panics", text.unwrap_or_default());
    }
    let wrong = world.ground.wrong.take();
    Report {
        seed,
        trace: world.ground.trace(),
        steps: world.steps,
        messages: world.ground.messages,
        committed: world.ground.checker.committed_count(),
        acts: world.acts,
        wrong: wrong.map(|wrong| (wrong.checker.to_owned(), wrong.text)),
        events: world.ground.take_events(),
    }
}

impl World {
    fn new(mut ground: Ground) -> Self {
        let plan = ground.plan.clone();
        ground.note(0, [plan.members, plan.length, 0], || format!("{plan:?}"));
        let mut members: Vec<Member> = (1..=plan.members).map(Member::new).collect();
        members.iter_mut().for_each(|member| member.start(&mut ground));
        let clients = plan.clients + plan.lease_clients;
        for client in 0..clients {
            let delay = ground.rng.u64(0..=100);
            ground.schedule(delay, Event::Client(client, ClientEvent::Wake));
        }
        let clients = (0..clients).map(|place| Client::new(place, place >= plan.clients)).collect();
        for watcher in 0..plan.watchers {
            ground.schedule(50, Event::Watcher(watcher));
        }
        let range = |place: usize| if place == 0 { KeyRange::all() } else { KeyRange::prefix("key/1") };
        let watchers = (0..plan.watchers).map(|place| Watcher::new(place, range(place))).collect();
        for (spells, fault) in [
            (plan.partitions, Fault::Cut),
            (plan.pauses, Fault::Pause),
            (plan.crashes, Fault::Crash),
            (plan.transfers, Fault::Transfer),
            (plan.changes, Fault::Change),
        ] {
            schedule_next(spells, fault, &mut ground);
        }
        ground.schedule(plan.length, Event::Calm);
        Self {
            ground,
            members,
            clients,
            watchers,
            steps: 0,
            is_over: false,
            judged_again: 0,
            judged_applied: 0,
            acts: 0,
        }
    }

    fn work(&mut self) {
        while self.ground.wrong.is_none() && !self.is_over {
            let Some(event) = self.ground.next() else { break };
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.ground.fail("runs end", "there is no end to it");
            }
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        let ground = &mut self.ground;
        match event {
            Event::Member(id, life, event) => {
                let Some(member) = self.members.iter_mut().find(|member| member.id == id) else { return };
                if member.life != life {
                    return;
                }
                if member.paused_until > ground.now {
                    ground.schedule_at(member.paused_until, Event::Member(id, life, event));
                    return;
                }
                member.handle(event, ground);
                self.bury(id);
            }
            Event::Deliver(envelope) => {
                let to = envelope.message.to;
                let Some(member) = self.members.iter_mut().find(|member| member.id == to) else { return };
                if member.paused_until > ground.now {
                    ground.schedule_at(member.paused_until, Event::Deliver(envelope));
                    return;
                }
                member.handle_message(*envelope, ground);
                self.bury(to);
            }
            Event::Client(place, event) => {
                if let Some(client) = self.clients.get_mut(place) {
                    client.handle(event, &self.members, ground);
                }
            }
            Event::Watcher(place) => {
                if let Some(watcher) = self.watchers.get_mut(place) {
                    watcher.look(&self.members, ground);
                }
            }
            Event::Fault(fault) => self.handle_fault(fault),
            Event::Calm => self.calm_down(),
            Event::Probe => {
                if let Some(client) = self.clients.first_mut() {
                    client.is_served = false;
                    client.probe(&self.members, ground);
                }
                let last_index = self.members.iter().map(Member::last_index).max().unwrap_or(0);
                let applied = self.members.iter().filter_map(Member::store).map(Store::applied).min();
                let left = last_index.saturating_sub(applied.unwrap_or(0));
                ground.schedule(DONE_WITHIN + left * TIME_OF_ENTRY, Event::Judge);
            }
            Event::Judge => self.judge(),
        }
    }

    /// Lets a member crash that is to, and start again later.
    fn bury(&mut self, id: u64) {
        let Some(member) = self.members.iter_mut().find(|member| member.id == id) else { return };
        if !member.is_doomed {
            return;
        }
        member.crash(&mut self.ground);
        let delay = self.ground.rng.u64(1..=self.ground.plan.crashes.len_max);
        self.ground.schedule(delay, Event::Fault(Fault::Restart(id)));
    }

    fn handle_fault(&mut self, fault: Fault) {
        let ground = &mut self.ground;
        if let Fault::Restart(id) = fault {
            let member = self.members.iter_mut().find(|member| member.id == id && !member.runs());
            if let Some(member) = member {
                member.start(ground);
            }
            return;
        }
        if ground.is_calm {
            return;
        }
        let place = ground.rng.usize(0..self.members.len());
        let Some(member) = self.members.get_mut(place) else { return };
        match fault {
            Fault::Cut => {
                ground.cut();
                let lasts = ground.rng.u64(1..=ground.plan.partitions.len_max);
                ground.schedule(lasts, Event::Fault(Fault::Heal));
                schedule_next(ground.plan.partitions, fault, ground);
            }
            Fault::Heal => ground.heal(),
            Fault::Pause => {
                let lasts = ground.rng.u64(1..=ground.plan.pauses.len_max);
                member.paused_until = ground.now + lasts;
                ground.note(12, [member.id, lasts, 0], || format!("{} stands still for {lasts}", member.id));
                schedule_next(ground.plan.pauses, fault, ground);
            }
            Fault::Crash => {
                member.is_doomed = member.runs();
                let id = member.id;
                schedule_next(ground.plan.crashes, fault, ground);
                self.bury(id);
            }
            Fault::Transfer => {
                let (id, life) = (member.id, member.life);
                let to = ground.rng.u64(1..=ground.plan.members);
                ground.schedule(0, Event::Member(id, life, MemberEvent::Transfer(to)));
                schedule_next(ground.plan.transfers, fault, ground);
            }
            Fault::Change => {
                let id = member.id;
                let change_type =
                    if ground.rng.bool() { ConfChangeType::AddNode } else { ConfChangeType::AddLearnerNode };
                // Who leads is asked, and whoever else takes himself for the leader; in half of the cases anybody instead.
                let anybody = ground.rng.bool().then(|| ground.rng.usize(0..self.members.len()));
                let members = self.members.iter().enumerate();
                let is_asked = |(place, member): &(usize, &Member)| {
                    anybody.map_or_else(|| member.leads(), |anybody| *place == anybody)
                };
                for (_, member) in members.filter(is_asked) {
                    let event = MemberEvent::Change(change_type, id);
                    ground.schedule(0, Event::Member(member.id, member.life, event));
                }
                schedule_next(ground.plan.changes, fault, ground);
            }
            Fault::Restart(_) => {}
        }
    }

    /// Faults are over: the network is whole, and every member runs.
    fn calm_down(&mut self) {
        let ground = &mut self.ground;
        ground.plan.calm_down();
        ground.is_calm = true;
        ground.heal();
        for member in &mut self.members {
            member.paused_until = 0;
            if !member.runs() {
                member.start(ground);
            }
        }
        ground.schedule(PROBE_AFTER, Event::Probe);
    }

    /// Whether everybody has applied everything; else it is judged a little later, some times.
    fn is_settled(&self) -> bool {
        let last_index = self.members.iter().map(Member::last_index).max();
        self.members.iter().all(|member| member.store().map(Store::applied) == last_index)
    }

    fn judge(&mut self) {
        // A group with little leave to send works off slowly what it was asked for: as long as it gets on, it is waited for.
        let applied: u64 = self.members.iter().filter_map(Member::store).map(Store::applied).sum();
        let gets_on = applied > std::mem::replace(&mut self.judged_applied, applied);
        let again_max = if gets_on { 200 } else { 5 };
        if self.judged_again < again_max && !self.is_settled() {
            self.judged_again += 1;
            self.ground.schedule(5 * TICK, Event::Judge);
            return;
        }
        self.is_over = true;
        let ground = &mut self.ground;
        if !self.clients.first().is_some_and(|client| client.is_served) {
            ground.fail("progress", "no command is done after the faults");
        }
        let leaders = self.members.iter().filter(|member| member.leads()).count();
        if leaders != 1 {
            ground.fail("progress", format!("{leaders} members lead"));
        }
        let stores: Vec<_> = self.members.iter().filter_map(Member::store).collect();
        let looks: Vec<_> = stores.iter().map(|store| (store.applied(), store.image().checksum())).collect();
        if looks.iter().any(|look| Some(look) != looks.first()) {
            ground.fail("all members come to the same state", format!("applied and checksum: {looks:?}"));
        }
        let configurations: Vec<_> = self.members.iter().filter_map(Member::configuration).collect();
        if configurations.iter().any(|one| Some(one) != configurations.first()) {
            ground.fail("all members come to the same configuration", format!("{configurations:?}"));
        }
        let leases = stores.first().map_or(0, |store| store.leases().count());
        if leases > 0 {
            ground.fail("leases end", format!("{leases} that nobody keeps alive are there"));
        }
        self.clients.iter_mut().for_each(Client::close);
        // Of what nobody was told, what was applied nowhere was not done.
        let judged = |(act, number): &(Act, (u64, u64))| {
            let done_at = act.returned.is_none().then(|| self.ground.checker.done_at(*number));
            match done_at {
                None => Some(*act),
                Some(done_at) => Some(Act { done_at: Some(done_at?), ..*act }),
            }
        };
        let judged: Vec<Act> =
            self.clients.iter().flat_map(|client| &client.acts).filter_map(judged).collect();
        self.acts = judged.len();
        let found = history::judge(&judged);
        self.ground.check(found);
    }
}

/// When the next one of these comes.
fn schedule_next(spells: Spells, fault: Fault, ground: &mut Ground) {
    if spells.pause > 0 {
        let delay = ground.rng.u64(1..=2 * spells.pause);
        ground.schedule(delay, Event::Fault(fault));
    }
}
