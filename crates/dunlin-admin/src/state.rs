//! What the page shows: the nodes of this process as they are, and with what other nodes say of themselves, the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin::{LinkState, Node, NodeRecord, NodeRole};
use dunlin_registry::store::KeyRange;
use dunlin_registry::{Consistency, Health, Registry};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::Noted;
use crate::limits::{GROUPS_MAX, LEASED_KEYS_MAX, OTHER_TIMEOUT};
use crate::others::Answer;
use crate::watcher::{leader_name, measure};
use crate::{LABEL, Shared};

/// The cluster as it can be seen from here.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterState {
    /// Who leads, by name, if anybody is known to.
    leader: Option<String>,
    term: u64,
    /// `ok`, `none` (nobody leads), or `unknown` (no voter was asked).
    quorum: &'static str,
    nodes: Vec<NodeLine>,
    metrics: Vec<Value>,
    leases: Vec<Lease>,
    events: Vec<Noted>,
}

/// A node of the cluster.
#[derive(Debug, Serialize)]
struct NodeLine {
    #[serde(flatten)]
    record: Record,
    is_leader: bool,
    /// What it says of itself; nothing if it was not asked or did not answer.
    look: Option<Value>,
    /// Why it says nothing.
    silence: Option<&'static str>,
}

/// What the registry has of a node.
#[derive(Debug, Default, Serialize)]
struct Record {
    id: String,
    name: String,
    number: u32,
    state: &'static str,
    roles: Vec<&'static str>,
    urls: Vec<String>,
    services: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// What a process says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct Here {
    pub(crate) nodes: Vec<Look>,
    pub(crate) metrics: Value,
}

/// The same as it is read from another process.
#[derive(Debug, Deserialize)]
pub(crate) struct There {
    pub(crate) nodes: Vec<Value>,
    pub(crate) metrics: Vec<Value>,
}

/// What a node says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct Look {
    name: String,
    version: &'static str,
    addrs: Vec<String>,
    is_stopping: bool,
    leader: Option<String>,
    voter: Option<VoterLook>,
    links: Vec<LinkState>,
    routes: Vec<Value>,
    groups: Vec<GroupLook>,
}

#[derive(Debug, Serialize)]
struct VoterLook {
    member: u64,
    term: u64,
    is_leader: bool,
    health: String,
    members: Vec<MemberLook>,
}

#[derive(Debug, Serialize)]
struct MemberLook {
    id: u64,
    url: String,
    is_learner: bool,
    /// How many entries it is behind; known to the leader alone.
    behind: Option<u64>,
}

#[derive(Debug, Serialize)]
struct GroupLook {
    name: String,
    members: usize,
}

/// Keys that live as long as one lease.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Lease {
    lease: String,
    keys: Vec<String>,
    /// Whether it holds a lock, and the name of that.
    holds: Option<String>,
}

/// What this process says of itself.
pub(crate) fn here(shared: &Shared) -> Here {
    measure(shared);
    let nodes = shared.here().iter().map(|(name, node)| look(name, node)).collect();
    let metrics = serde_json::to_value(shared.meters.samples()).unwrap_or_default();
    Here { nodes, metrics }
}

/// What can be seen of the cluster from here, with what other nodes say.
pub(crate) async fn cluster(shared: &Shared) -> ClusterState {
    let here = here(shared);
    let nodes = shared.here();
    let mut looks: BTreeMap<String, Value> = BTreeMap::new();
    for look in &here.nodes {
        looks.insert(look.name.clone(), serde_json::to_value(look).unwrap_or_default());
    }
    let table = nodes.first().map(|(_, node)| node.cluster().nodes()).unwrap_or_default();
    let mut metrics: Vec<Value> = here.metrics.as_array().cloned().unwrap_or_default();
    let mut silent: BTreeMap<u64, &'static str> = BTreeMap::new();
    let answers = shared.others.ask::<There>(elsewhere(&nodes), "/admin/api/here").await;
    for (id, answer) in answers {
        match answer {
            Answer::Said(there) => {
                metrics.extend(there.metrics);
                for look in there.nodes {
                    looks.insert(look["name"].as_str().unwrap_or_default().to_owned(), look);
                }
            }
            Answer::Silent(why) => drop(silent.insert(id, why)),
        }
    }
    let (leader, term, quorum) = lead(&looks);
    let mut lines: Vec<NodeLine> = table
        .iter()
        .map(|record| {
            let look = looks.remove(&record.name);
            let silence =
                silent.get(&record.id).copied().or(look.is_none().then_some("it has no admin port"));
            NodeLine {
                is_leader: leader.as_deref() == Some(&*record.name),
                record: record_line(record),
                look,
                silence,
            }
        })
        .collect();
    // A node that stands alone is in no table.
    lines.extend(looks.into_iter().map(|(name, look)| NodeLine {
        record: Record { name, state: "up", roles: vec!["gate"], ..Record::default() },
        is_leader: false,
        look: Some(look),
        silence: None,
    }));
    lines.sort_by(|a, b| a.record.name.cmp(&b.record.name).then_with(|| a.record.id.cmp(&b.record.id)));
    let leases = leases(&nodes).await;
    ClusterState { leader, term, quorum, nodes: lines, metrics, leases, events: shared.events.all() }
}

/// The nodes of the cluster that are none of this process's, and where they are asked.
pub(crate) fn elsewhere(here: &[(Arc<str>, Arc<Node>)]) -> Vec<(u64, String)> {
    let table = here.first().map(|(_, node)| node.cluster().nodes()).unwrap_or_default();
    let is_here = |record: &NodeRecord| here.iter().any(|(name, _)| **name == *record.name);
    let others = table.iter().filter(|record| !is_here(record));
    others.filter_map(|record| Some((record.id, record.labels.get(LABEL)?.clone()))).collect()
}

/// Who leads, as the voter with the greatest term has it.
fn lead(looks: &BTreeMap<String, Value>) -> (Option<String>, u64, &'static str) {
    let voters = looks.values().filter(|look| !look["voter"].is_null());
    let newest = voters.max_by_key(|look| (look["voter"]["term"].as_u64(), look["leader"].is_string()));
    let Some(newest) = newest else { return (None, 0, "unknown") };
    let leader = newest["leader"].as_str().map(str::to_owned);
    let quorum = if leader.is_some() { "ok" } else { "none" };
    (leader, newest["voter"]["term"].as_u64().unwrap_or_default(), quorum)
}

fn record_line(record: &NodeRecord) -> Record {
    Record {
        id: format!("{:016x}", record.id),
        name: record.name.clone(),
        number: record.number,
        state: record.state().name(),
        roles: record.roles().map(NodeRole::name).collect(),
        urls: record.urls.clone(),
        services: record.services.clone(),
        labels: record.labels.clone(),
    }
}

fn look(name: &str, node: &Node) -> Look {
    let groups = node.groups().largest(GROUPS_MAX);
    let voter = node.voter();
    Look {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        addrs: node.addrs().iter().map(ToString::to_string).collect(),
        is_stopping: node.is_stopping(),
        leader: voter.as_ref().and_then(|voter| leader_name(voter, &node.cluster().nodes())),
        voter: voter.map(|voter| voter_look(&voter)),
        links: node.links(),
        routes: node.routes().iter().filter_map(|route| serde_json::to_value(&**route).ok()).collect(),
        groups: groups
            .iter()
            .map(|group| GroupLook { name: group.name().to_owned(), members: group.count() })
            .collect(),
    }
}

fn voter_look(voter: &dunlin_registry::LocalRegistry) -> VoterLook {
    let state = voter.state();
    let behind = |id| {
        let progress = state.progress.iter().find(|progress| progress.id == id)?;
        Some(state.committed.saturating_sub(progress.matched))
    };
    let members = voter.members().into_iter().map(|member| MemberLook {
        id: member.id,
        is_learner: member.is_learner,
        behind: behind(member.id),
        url: member.urls.into_iter().next().unwrap_or_default(),
    });
    let health = match &state.health {
        Health::DiskFull(why) => format!("the disk is full: {why}"),
        Health::Stopped(Some(why)) => format!("stopped: {why}"),
        Health::Stopped(None) => "stopped".to_owned(),
        _ => "running".to_owned(),
    };
    VoterLook {
        member: voter.member_id(),
        term: state.term,
        is_leader: state.leader == voter.member_id(),
        health,
        members: members.collect(),
    }
}

/// The leases that keys of the store have, as the first node that can be asked knows them, which may be old.
async fn leases(nodes: &[(Arc<str>, Arc<Node>)]) -> Vec<Lease> {
    let Some(registry) = nodes.iter().find_map(|(_, node)| node.registry()) else { return Vec::new() };
    let reading = registry.range(KeyRange::prefix(""), LEASED_KEYS_MAX, Consistency::Stale);
    match tokio::time::timeout(OTHER_TIMEOUT, reading).await {
        Ok(Ok((answer, _))) => {
            let keys = answer.entries.into_iter();
            held(keys.map(|entry| {
                (entry.lease, entry.create_revision, String::from_utf8_lossy(&entry.key).into())
            }))
        }
        _ => Vec::new(),
    }
}

/// Keys by their leases. A key that ends with its lease's number waits for a lock, and the oldest of those that begin alike holds it.
fn held(keys: impl Iterator<Item = (u64, u64, String)>) -> Vec<Lease> {
    let keys: Vec<(u64, u64, String)> = keys.filter(|(lease, ..)| *lease != 0).collect();
    let lock_of =
        |(lease, _, key): &(u64, u64, String)| key.strip_suffix(&format!("/{lease:016x}")).map(str::to_owned);
    let mut holders: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for key in &keys {
        let Some(lock) = lock_of(key) else { continue };
        let holder = holders.entry(lock).or_insert((key.1, key.0));
        *holder = (*holder).min((key.1, key.0));
    }
    let mut leases: BTreeMap<u64, Lease> = BTreeMap::new();
    for (id, _, key) in keys {
        let lease = format!("{id:016x}");
        leases.entry(id).or_insert(Lease { lease, keys: Vec::new(), holds: None }).keys.push(key);
    }
    for (lock, (_, id)) in holders {
        if let Some(lease) = leases.get_mut(&id) {
            lease.holds = Some(lock);
        }
    }
    leases.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_who_wait_for_a_lock_the_oldest_holds_it() {
        let key = |lease: u64, revision, name: &str| (lease, revision, format!("{name}/{lease:016x}"));
        let keys = [
            key(7, 20, "jobs"),
            key(9, 10, "jobs"),
            (9, 11, "nodes/1".to_owned()),
            (0, 1, "motd".to_owned()),
        ];
        let leases = held(keys.into_iter());
        assert_eq!(leases.len(), 2);
        assert_eq!(leases[0].holds, None);
        assert_eq!((leases[1].holds.as_deref(), leases[1].keys.len()), (Some("jobs"), 2));
    }

    #[test]
    fn who_leads_is_what_the_greatest_term_says() {
        let look = |name: &str, term: u64, leader: Option<&str>| {
            let value = serde_json::json!({ "voter": { "term": term }, "leader": leader });
            (name.to_owned(), value)
        };
        let looks =
            BTreeMap::from([look("n1", 3, Some("n1")), look("n2", 4, None), look("n3", 4, Some("n2"))]);
        assert_eq!(lead(&looks), (Some("n2".to_owned()), 4, "ok"));
        assert_eq!(lead(&BTreeMap::from([look("n1", 4, None)])), (None, 4, "none"));
        assert_eq!(lead(&BTreeMap::new()).2, "unknown");
    }
}
