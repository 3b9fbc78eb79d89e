//! The process's recorder of metrics, and what nodes are measured by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use dunlin::{Group, Node};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::Value;

use crate::error::AdminError;
use crate::limits::GROUPS_MAX;
use crate::samples::{Sample, samples};

/// Upper bounds of what is counted in seconds: from a handler that returns at once to one that is late.
const SECONDS: [f64; 17] = [
    0.000_01, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Counts of a node that can become less.
const GAUGES: [&str; 2] = ["travellers", "visitors"];

/// One recorder for the process, whoever asks first.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// What is measured.
pub(crate) struct Meters {
    recorder: PrometheusHandle,
    /// Links that were measured, by both names: those that are no more are down.
    links: Mutex<BTreeSet<(String, String)>>,
    /// How many groups of a node were measured at most: places that are empty now have no members.
    groups: Mutex<BTreeMap<String, usize>>,
}

impl Meters {
    /// Records the process's metrics from now on.
    pub(crate) fn install() -> Result<Self, AdminError> {
        let recorder = RECORDER.get_or_init(install).clone().ok_or(AdminError::Recorder)?;
        Ok(Self { recorder, links: Mutex::default(), groups: Mutex::default() })
    }

    /// Measures a node as it is now.
    pub(crate) fn measure(&self, name: &str, node: &Node) {
        measure_counts(name, node);
        measure_voter(name, node);
        self.measure_links(name, node);
        self.measure_groups(name, node);
    }

    /// Lets the recorder sum up what was recorded, which it keeps one by one until then.
    pub(crate) fn sum_up(&self) {
        self.recorder.run_upkeep();
    }

    /// All metrics as Prometheus reads them.
    pub(crate) fn text(&self) -> String {
        self.recorder.render()
    }

    /// All of dunlin's metrics, one by one.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let mut samples = samples(&self.text());
        samples.retain(|sample| sample.name.starts_with("dunlin_") && sample.value.is_finite());
        samples
    }

    /// The largest groups by their places: by their names there would be as many metrics as there ever were groups.
    fn measure_groups(&self, name: &str, node: &Node) {
        let largest = node.groups().largest(GROUPS_MAX);
        let mut measured = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let places = measured.entry(name.to_owned()).or_default();
        *places = largest.len().max(*places);
        for place in 0..*places {
            let members = largest.get(place).map_or(0, Group::count);
            let labels = [("node", name.to_owned()), ("place", (place + 1).to_string())];
            gauge!("dunlin_group_members", &labels).set(members as f64);
        }
    }

    fn measure_links(&self, name: &str, node: &Node) {
        let mut known = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let links = node.links();
        for (from, to) in
            known.iter().filter(|(from, to)| from == name && !links.iter().any(|link| link.name == *to))
        {
            gauge!("dunlin_link_up", "node" => from.clone(), "to" => to.clone()).set(0.0);
        }
        for link in links {
            let labels = [("node", name.to_owned()), ("to", link.name.clone())];
            gauge!("dunlin_link_up", &labels).set(f64::from(u8::from(link.is_up)));
            gauge!("dunlin_link_calls_in_flight", &labels).set(link.in_flight as f64);
            counter!("dunlin_links_total", &labels).absolute(link.links);
            if let Some(round_trip) = link.round_trip {
                gauge!("dunlin_link_round_trip_seconds", &labels).set(round_trip.as_secs_f64());
            }
            known.insert((name.to_owned(), link.name));
        }
    }
}

fn install() -> Option<PrometheusHandle> {
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let recorder = builder.ok()?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok()?;
    Some(handle)
}

fn measure_counts(name: &str, node: &Node) {
    let stats = node.stats();
    let of = |metric: String| (metric, [("node", name.to_owned())]);
    // A count that is new to the node is a metric by itself.
    if let Ok(Value::Object(counts)) = serde_json::to_value(stats) {
        for (what, count) in counts {
            let count = count.as_u64().unwrap_or_default();
            if GAUGES.contains(&&*what) {
                let (metric, labels) = of(format!("dunlin_{what}"));
                gauge!(metric, &labels).set(count as f64);
            } else {
                let (metric, labels) = of(format!("dunlin_{what}_total"));
                counter!(metric, &labels).absolute(count);
            }
        }
    }
    let now = [
        ("dunlin_connections", stats.connections() as f64),
        ("dunlin_sessions", stats.sessions() as f64),
        ("dunlin_uids", node.sessions().uid_count() as f64),
        ("dunlin_groups", node.groups().count() as f64),
        ("dunlin_ready", f64::from(u8::from(!node.is_stopping()))),
    ];
    for (metric, value) in now {
        gauge!(metric, "node" => name.to_owned()).set(value);
    }
}

fn measure_voter(name: &str, node: &Node) {
    let Some(voter) = node.voter() else { return };
    let state = voter.state();
    let yes = |is_so: bool| f64::from(u8::from(is_so));
    let now = [
        ("dunlin_raft_term", state.term as f64),
        ("dunlin_raft_is_leader", yes(state.leader == voter.member_id())),
        ("dunlin_raft_has_leader", yes(state.leader != 0)),
        ("dunlin_raft_committed_index", state.committed as f64),
        ("dunlin_raft_applied_index", state.applied as f64),
        ("dunlin_raft_lag", state.committed.saturating_sub(state.applied) as f64),
        ("dunlin_raft_sync_seconds", state.sync_took.as_secs_f64()),
    ];
    for (metric, value) in now {
        gauge!(metric, "node" => name.to_owned()).set(value);
    }
}
