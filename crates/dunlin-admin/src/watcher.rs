//! Looks at the nodes once a second: their metrics are measured, and what has changed is noted.

use std::sync::Arc;

use dunlin::{Node, NodeTable};
use dunlin_registry::LocalRegistry;
use tokio::time::{MissedTickBehavior, interval};

use crate::Shared;
use crate::changes::{COUNTED, Look, changes};
use crate::limits::LOOK_INTERVAL;

/// Looks until the port stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Look::default();
    while shared.stop.run_until_cancelled(ticks.tick()).await.is_some() {
        measure(&shared);
        shared.meters.sum_up();
        let after = look(&shared.here());
        changes(&before, &after).into_iter().for_each(|event| shared.events.note(event));
        before = after;
    }
}

/// Measures all nodes of this process.
pub(crate) fn measure(shared: &Shared) {
    for (name, node) in shared.here() {
        shared.meters.measure(&name, &node);
    }
}

/// The node that the leader of a voter's group is: a voter's URL is its node's.
pub(crate) fn leader_name(voter: &LocalRegistry, nodes: &NodeTable) -> Option<String> {
    let leader = voter.state().leader;
    let member = voter.members().into_iter().find(|member| member.id == leader)?;
    let url = member.urls.first()?;
    let node = nodes.iter().find(|node| node.urls.contains(url));
    Some(node.map_or_else(|| format!("voter {leader}"), |node| node.name.clone()))
}

fn look(here: &[(Arc<str>, Arc<Node>)]) -> Look {
    let mut look = Look::default();
    for (name, node) in here {
        let table = node.cluster().nodes();
        for record in table.iter() {
            look.nodes.insert(record.id, (record.name.clone(), record.state().name()));
        }
        if let Some(voter) = node.voter() {
            let term = voter.state().term;
            // Whoever is behind knows an older term.
            if look.leader.as_ref().is_none_or(|(leader, known)| (term, leader.is_none()) > (*known, false)) {
                look.leader = Some((leader_name(&voter, &table), term));
            }
        }
        for link in node.links() {
            look.links.insert((name.to_string(), link.name), link.is_up);
        }
        if let Ok(counts) = serde_json::to_value(node.stats()) {
            for (what, ..) in COUNTED {
                let count = counts[what].as_u64().unwrap_or_default();
                look.counts.insert((name.to_string(), what), count);
            }
        }
    }
    look
}
