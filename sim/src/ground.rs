//! What everybody in a run stands on: time, the queue of what is to come, the drawn choices, the network, and what was found wrong.
//!
//! Invariants: the same seed gives the same run, whatever machine it is on: nothing here reads a clock, and nothing is in an order
//! that is not drawn or said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use bytes::Bytes;
use dunlin_rafthttp::raftpb::Message;
use fastrand::Rng;

use crate::bug::Bug;
use crate::checker::Checker;
use crate::client::ClientEvent;
use crate::member::MemberEvent;
use crate::plan::{Plan, Time};

/// How many of the last events are kept to be printed.
const EVENTS_KEPT: usize = 60;

/// Something that is to come.
#[derive(Debug)]
pub(crate) enum Event {
    /// To a member in this life of it.
    Member(u64, u64, MemberEvent),
    /// A message arrives.
    Deliver(Box<Envelope>),
    /// To a client.
    Client(usize, ClientEvent),
    /// A watcher looks.
    Watcher(usize),
    /// A fault comes.
    Fault(Fault),
    /// Faults are over.
    Calm,
    /// Whether a command is done now.
    Probe,
    /// It is over.
    Judge,
}

/// Faults.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// A partition comes.
    Cut,
    /// The network is whole again.
    Heal,
    /// A member stands still for a while.
    Pause,
    /// A member crashes.
    Crash,
    /// A member starts again.
    Restart(u64),
    /// Leadership is asked for elsewhere.
    Transfer,
    /// A vote is taken from a member, or given to one.
    Change,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) from: u64,
    /// The life of its sender, who hears what became of a snapshot.
    pub(crate) life: u64,
    pub(crate) message: Message,
    /// The database of a snapshot.
    pub(crate) database: Option<Bytes>,
}

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Which checker says so.
    pub(crate) checker: &'static str,
    /// What it says.
    pub(crate) text: String,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) plan: Plan,
    pub(crate) bug: Option<Bug>,
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), Event>,
    scheduled: u64,
    /// From whom to whom nothing comes.
    cut: BTreeSet<(u64, u64)>,
    pub(crate) is_calm: bool,
    pub(crate) checker: Checker,
    pub(crate) wrong: Option<Wrong>,
    /// Number of the last request.
    requests: u64,
    trace: u64,
    /// What happened last, if it is wanted.
    events: Option<VecDeque<String>>,
    has_all_events: bool,
    pub(crate) messages: u64,
}

impl Ground {
    pub(crate) fn new(plan: Plan, bug: Option<Bug>, rng: Rng) -> Self {
        Self {
            plan,
            bug,
            rng,
            now: 0,
            queue: BTreeMap::new(),
            scheduled: 0,
            cut: BTreeSet::new(),
            is_calm: false,
            checker: Checker::default(),
            wrong: None,
            requests: 0,
            trace: 0,
            events: None,
            has_all_events: false,
            messages: 0,
        }
    }

    /// Keeps what happens: the last events, or all of them.
    pub(crate) fn keep_events(&mut self, has_all: bool) {
        self.events = Some(VecDeque::new());
        self.has_all_events = has_all;
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The next event; time goes on to it.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((at, _), event) = self.queue.pop_first()?;
        self.now = at;
        Some(event)
    }

    pub(crate) fn schedule(&mut self, delay: Time, event: Event) {
        self.schedule_at(self.now + delay, event);
    }

    pub(crate) fn schedule_at(&mut self, at: Time, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at, self.scheduled), event);
    }

    pub(crate) fn draw(&mut self, range: &RangeInclusive<Time>) -> Time {
        self.rng.u64(range.clone())
    }

    pub(crate) fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.f64() < share
    }

    pub(crate) fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// Notes that something is wrong. The first thing counts.
    pub(crate) fn fail(&mut self, checker: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.note(99, [0; 3], || format!("WRONG: {checker}: {text}"));
        self.wrong.get_or_insert(Wrong { checker, text });
    }

    /// Notes what a checker says.
    pub(crate) fn check(&mut self, found: Result<(), Wrong>) {
        if let Err(Wrong { checker, text }) = found {
            self.fail(checker, text);
        }
    }

    /// Notes that something happened: numbers for the trace's hash, words for whoever reads it.
    pub(crate) fn note(&mut self, kind: u64, numbers: [u64; 3], text: impl FnOnce() -> String) {
        for number in [self.now, kind].into_iter().chain(numbers) {
            self.trace = (self.trace ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        }
        if let Some(events) = &mut self.events {
            events.push_back(format!("{:>6} {}", self.now, text()));
            if events.len() > EVENTS_KEPT && !self.has_all_events {
                events.pop_front();
            }
        }
    }

    /// A number that equal runs have in common, and others hardly ever.
    pub(crate) const fn trace(&self) -> u64 {
        self.trace
    }

    pub(crate) fn take_events(&mut self) -> Vec<String> {
        self.events.take().unwrap_or_default().into()
    }

    /// Cuts some members off from the others, in one direction or both.
    pub(crate) fn cut(&mut self) {
        let members = self.plan.members;
        let lonely: BTreeSet<u64> = (1..=members).filter(|_| self.rng.u8(0..3) == 0).collect();
        let is_one_way = self.happens(self.plan.one_way);
        let is_out = self.rng.bool();
        self.cut.clear();
        for (from, to) in (1..=members).flat_map(|from| (1..=members).map(move |to| (from, to))) {
            let crosses = lonely.contains(&from) != lonely.contains(&to);
            if crosses && (!is_one_way || lonely.contains(&from) == is_out) {
                self.cut.insert((from, to));
            }
        }
        self.note(1, [lonely.iter().sum(), u64::from(is_one_way), u64::from(is_out)], || {
            format!("cut off {lonely:?}, one way {is_one_way}, outward {is_out}")
        });
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.note(2, [0; 3], || "the network is whole".to_owned());
    }

    /// Gives a message to the network.
    pub(crate) fn send(&mut self, envelope: Envelope) {
        self.messages += 1;
        let (from, to) = (envelope.from, envelope.message.to);
        if self.cut.contains(&(from, to)) || self.happens(self.plan.drop) {
            self.lose(&envelope);
            return;
        }
        if envelope.database.is_none() && self.happens(self.plan.duplicate) {
            let delay = self.delay();
            self.schedule(delay, Event::Deliver(Box::new(envelope.clone())));
        }
        let delay = self.delay();
        self.schedule(delay, Event::Deliver(Box::new(envelope)));
    }

    /// A message is lost; its sender may hear of it.
    pub(crate) fn lose(&mut self, envelope: &Envelope) {
        let (from, life, to) = (envelope.from, envelope.life, envelope.message.to);
        if envelope.database.is_some() {
            self.tell_sender(envelope, false);
        } else if self.happens(self.plan.report_lost) {
            let delay = self.delay();
            self.schedule(delay, Event::Member(from, life, MemberEvent::Unreachable(to)));
        }
    }

    /// The sender of a snapshot hears what became of it.
    pub(crate) fn tell_sender(&mut self, envelope: &Envelope, has_arrived: bool) {
        let (from, life, to) = (envelope.from, envelope.life, envelope.message.to);
        let delay = self.delay();
        self.schedule(delay, Event::Member(from, life, MemberEvent::SnapshotSent(to, has_arrived)));
    }

    fn delay(&mut self) -> Time {
        let straggles = self.happens(self.plan.straggle);
        let latency = self.plan.latency.clone();
        self.draw(&latency) + if straggles { self.rng.u64(20..=400) } else { 0 }
    }
}
