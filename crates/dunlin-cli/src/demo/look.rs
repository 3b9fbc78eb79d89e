//! The cluster at one moment, and who is told of it twice a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval};

use super::desk::WATCHERS;
use super::lab::Lab;
use super::messages::{LinkLook, NodeLook, Snapshot};
use super::nodes::{NAMES, name};

/// How often pages are told of the cluster.
const PERIOD: Duration = Duration::from_millis(500);

/// Tells all pages of the cluster, and the judge of the time, for as long as the demo runs. An event is told at once.
pub(super) async fn tell(lab: Arc<Lab>) {
    let mut ticks = interval(PERIOD);
    let (mut rates, mut led) = (Rates::default(), None);
    loop {
        tokio::select! {
            now = ticks.tick() => {
                look_for_leaks(&lab, now);
                rates.look(&lab, now);
            }
            () = lab.events.next() => {}
        }
        let snapshot = snapshot(&lab, &rates.per_second);
        if snapshot.leader.is_some() && led != Some((snapshot.leader.clone(), snapshot.term)) {
            let leader = snapshot.leader.as_deref().unwrap_or_default();
            lab.events.add(format!("{leader} leads in term {}", snapshot.term));
            led = Some((snapshot.leader.clone(), snapshot.term));
        }
        for index in 0..NAMES.len() {
            let watchers = lab.nodes.node(index).and_then(|node| node.groups().get(WATCHERS));
            // A node that is about to end tells nobody; the next snapshot comes soon, from another one.
            watchers.and_then(|watchers| watchers.broadcast(&snapshot).ok());
        }
    }
}

/// Tells the judge of the time, and how many sessions each node counts.
fn look_for_leaks(lab: &Lab, now: Instant) {
    for index in 0..NAMES.len() {
        if let Some(node) = lab.nodes.node(index) {
            let (life, stats) = (lab.nodes.life(index), node.stats());
            lab.court.judge().handle_counted(now, life, (stats.sessions(), stats.visitors));
        }
    }
    lab.court.judge().handle_time(now);
}

/// How many messages of clients and of other nodes each node handles in a second.
#[derive(Default)]
struct Rates {
    /// When it was looked last, and what had been handled then.
    before: Option<(Instant, Vec<u64>)>,
    per_second: Vec<u64>,
}

impl Rates {
    fn look(&mut self, lab: &Lab, now: Instant) {
        let handled = |index| {
            let stats = lab.nodes.node(index).map(|node| node.stats());
            stats.map_or(0, |stats| stats.messages_in + stats.forwarded_in)
        };
        let handled: Vec<u64> = (0..NAMES.len()).map(handled).collect();
        if let Some((at, before)) = &self.before {
            let secs = now.duration_since(*at).as_secs_f64().max(0.001);
            // A node in a new life counts from 0.
            let rate =
                |(now, before): (&u64, &u64)| (now.saturating_sub(*before) as f64 / secs).round() as u64;
            self.per_second = handled.iter().zip(before).map(rate).collect();
        }
        self.before = Some((now, handled));
    }
}

/// The cluster as it is now; `rates` are messages a second of each node.
pub(super) fn snapshot(lab: &Lab, rates: &[u64]) -> Snapshot {
    let leader = lab.leader();
    let node = |index: usize| {
        let stats = lab.nodes.node(index).map(|node| node.stats()).unwrap_or_default();
        NodeLook {
            name: name(index).to_owned(),
            port: lab.nodes.client_addrs().nth(index).map_or(0, |addr| addr.port()),
            phase: lab.nodes.phase(index),
            is_leader: leader.is_some_and(|(leader, _)| leader == index),
            term: lab.nodes.voter(index).map_or(0, |voter| voter.term),
            sessions: stats.sessions(),
            visitors: stats.visitors,
            rate: rates.get(index).copied().unwrap_or_default(),
        }
    };
    let link = |(one, other): (usize, usize)| {
        let (phase, round_trip) = lab.nodes.link((one, other));
        let rtt_ms = round_trip.map(|time| (time.as_secs_f64() * 100_000.0).round() / 100.0);
        LinkLook { one: name(one).to_owned(), other: name(other).to_owned(), phase, rtt_ms }
    };
    Snapshot {
        leader: leader.map(|(index, _)| name(index).to_owned()),
        term: leader.map_or(0, |(_, term)| term),
        nodes: (0..NAMES.len()).map(node).collect(),
        links: [(0, 1), (1, 2), (0, 2)].map(link).into(),
        counters: lab.court.judge().counters(),
        under_way: lab.events.under_way(),
        events: lab.events.last(),
        now_ms: lab.events.now_ms(),
        admin_port: lab.nodes.admin_addr().map(|addr| addr.port()),
    }
}
