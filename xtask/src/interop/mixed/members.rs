//! The claims about who is in the group: members join by a snapshot of either side, and leave under either side.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::lab::{Lab, Look, TIME};
use super::ledger::Load;
use crate::table::Seen;
use crate::wait::wait;

/// Writes there must be before somebody joins, so that no log begins at its beginning any more.
const WRITES_BEFORE_JOIN: usize = 1500;

/// Who leads, and who joins. What the third one sends is what ours made of etcd's snapshot, and what the fourth one gets is what
/// etcd's made of that: whatever either side does not understand of the other, it would lose.
const JOINS: [(u64, u64); 4] = [(1, 4), (3, 5), (4, 6), (6, 7)];

/// Who leads, and who is removed: each kind under the other one, and each while it leads itself.
const REMOVALS: [(u64, u64); 4] = [(1, 4), (3, 5), (6, 6), (7, 7)];

/// How long a member may take to end that was removed.
const END_TIME: Duration = Duration::from_secs(15);

/// Fresh members get their beginning as a snapshot, ours from etcd's leader and etcd's from ours, and vote.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn joins(lab: &mut Lab) -> Result<Seen> {
    let ledger = lab.ledger.clone();
    ledger.during(&lab.running_addrs(), Load { writers: 4, readers: 0 }, || {
        ledger.wait_more(WRITES_BEFORE_JOIN.saturating_sub(ledger.count()))
    })?;
    let mut indexes = Vec::new();
    for (leader, joiner) in JOINS {
        let index = join(lab, leader, joiner);
        indexes.push(index.with_context(|| format!("member {joiner} joins while {leader} leads"))?);
    }
    let equal = lab.equal()?;
    let count = JOINS.len();
    let detail = format!(
        "2 of ours from etcd's, 2 of etcd's from ours, each asked of a follower of the other kind, \
         snapshots of indexes {indexes:?}; {equal}"
    );
    Ok(Seen { count: format!("{count}/{count}"), detail })
}

/// Lets one member join, by way of a follower of the other kind. The index of the snapshot that it got.
fn join(lab: &mut Lab, leader: u64, joiner: u64) -> Result<u64> {
    lab.lead(leader)?;
    let url = lab.member(joiner)?.plan.cluster.last().context("it has no URL")?.clone();
    let asked = lab.of_other_kind(leader)?;
    lab.ask_until(asked, ("POST", &format!("/{joiner}"), &url), |answer| answer.status == 204)?;
    lab.member(joiner)?.start()?;
    let index = wait("it has a snapshot", TIME, || {
        lab.member(joiner).and_then(|member| member.snapshots()).ok()?.first().copied()
    })?;
    let votes = |look: &Look| look.members.contains(&joiner) && !look.learners.contains(&joiner);
    lab.all_see("it votes", votes)?;
    let now = lab.wait_leader()?;
    ensure!(now == leader, "the leader was {leader} and is {now}: whose snapshot it was is not known");
    lab.put(joiner, &format!("joined-{joiner}"), "yes")?;
    Ok(index)
}

/// A member that is removed ends, whoever leads, and also when it leads itself; when it is started again, it ends once more.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn removes(lab: &mut Lab) -> Result<Seen> {
    let mut paused = Vec::new();
    for (leader, removed) in REMOVALS {
        let took = remove(lab, leader, removed)
            .with_context(|| format!("member {removed} is removed while {leader} leads"))?;
        paused.extend((leader == removed).then_some(took.as_millis()));
    }
    lab.all_see("the members are the first ones", |look| look.members == Lab::first_ids())?;
    let count = REMOVALS.len();
    let detail = format!(
        "ours under etcd's leader, etcd's under ours, and either while it led, after which a write succeeded within {paused:?} ms \
         (etcd's, ours): all ended, and ended again when started"
    );
    Ok(Seen { count: format!("{count}/{count}"), detail })
}

/// Removes one member. How long it took until the others wrote again.
fn remove(lab: &mut Lab, leader: u64, removed: u64) -> Result<Duration> {
    lab.lead(leader)?;
    let (path, begin) = (format!("/{removed}"), Instant::now());
    if leader == removed {
        // It may be gone before it answers. One that has just come to lead has heard of too few others yet, and refuses.
        let client = lab.member(leader)?.client();
        wait("it takes its own removal", TIME, || {
            let answer = client.ask("DELETE", &path, "");
            answer.map_or(true, |answer| answer.status == 204).then_some(())
        })?;
    } else {
        // The other kind passes it on, unless it is about the only one that could be asked.
        let asked = lab.of_other_kind(leader).ok().filter(|asked| *asked != removed).unwrap_or(leader);
        lab.ask_until(asked, ("DELETE", &path, ""), |answer| answer.status == 204)?;
    }
    // Ours proposes again what was lost with a leader.
    let [.., ours] = Lab::first_ids();
    lab.put(ours, &format!("without-{removed}"), "yes")?;
    let took = begin.elapsed();
    lab.member(removed)?.wait_end(END_TIME)?;
    lab.member(removed)?.start()?;
    lab.member(removed)?.wait_end(END_TIME).context("it was started again")?;
    lab.wait_leader()?;
    let ids = lab.running_ids();
    ids.into_iter().try_for_each(|id| lab.put(id, &format!("removed-{removed}"), "yes"))?;
    Ok(took)
}
