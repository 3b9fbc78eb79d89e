//! The claims about members that die, come back, join and leave.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Seen;
use super::lab::{DUNLIN, ETCD, ETCD_JOINER, JOINER, Lab, TIME, wait};
use super::ledger::Ledger;

/// Writers through each member while members die.
const WRITERS: usize = 2;

/// Writes that must succeed before a member dies, and while it is dead.
const WRITES_BETWEEN: usize = 100;

/// Writes there must be before somebody joins, so that no log begins at its beginning any more.
const WRITES_BEFORE_JOIN: usize = 1500;

/// How long a member may take to end that was removed.
const END_TIME: Duration = Duration::from_secs(15);

/// Each member is killed while it leads and while it follows, under writes through all of them, and goes on from its disk. No
/// write that was acknowledged is lost.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn kills(lab: &mut Lab) -> Result<Seen> {
    let (addrs, ledger) = (lab.running_addrs(), lab.ledger.clone());
    // Who dies, and who leads then.
    let kills = [(1, 1), (2, 2), (3, 3), (1, 3), (2, 3), (3, 1)];
    ledger.during(&addrs, WRITERS, || {
        kills.into_iter().try_for_each(|(victim, leader)| {
            kill(lab, &ledger, (victim, leader))
                .with_context(|| format!("member {victim} dies while {leader} leads"))
        })
    })?;
    let equal = lab.equal()?;
    let pause = ledger.written().longest_pause.as_millis();
    let count = kills.len();
    let detail = format!("{count} kills, 3 of them of the leader; {equal}; the longest pause was {pause} ms");
    Ok(Seen { count: format!("{count}/{count}"), detail })
}

fn kill(lab: &mut Lab, ledger: &Ledger, (victim, leader): (u64, u64)) -> Result<()> {
    let more = |what: &str| {
        let wanted = ledger.count() + WRITES_BETWEEN;
        wait(what, TIME, || (ledger.count() >= wanted).then_some(()))
    };
    lab.lead(leader)?;
    more("the group writes")?;
    lab.member(victim)?.kill();
    lab.wait_leader()?;
    more("the others go on writing")?;
    lab.member(victim)?.start()?;
    let key = format!("back-{victim}-{leader}");
    lab.put(victim, &key, "")?;
    ensure!(lab.get(victim, &key)?.is_some(), "it does not read what it wrote");
    Ok(())
}

/// A fresh member of ours gets its beginning as a snapshot of etcd's.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn joins_etcd(lab: &mut Lab) -> Result<Seen> {
    join(lab, ETCD, JOINER)
}

/// A fresh member of etcd's gets its beginning as a snapshot of ours.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn joins_dunlin(lab: &mut Lab) -> Result<Seen> {
    join(lab, DUNLIN, ETCD_JOINER)
}

fn join(lab: &mut Lab, leader: u64, joiner: u64) -> Result<Seen> {
    let ledger = lab.ledger.clone();
    ledger.during(&lab.running_addrs(), WRITERS, || {
        wait("there is something to learn", TIME, || (ledger.count() >= WRITES_BEFORE_JOIN).then_some(()))
    })?;
    lab.lead(leader)?;
    let url = lab.member(joiner)?.plan.cluster.last().context("it has no URL")?.clone();
    lab.ask_until(leader, ("POST", &format!("/{joiner}"), &url), |answer| answer.status == 204)?;
    lab.member(joiner)?.start()?;
    let snapshot = wait("it has a snapshot", TIME, || {
        lab.member(joiner).and_then(|member| member.snapshots()).ok()?.first().copied()
    })?;
    wait("it votes", TIME, || {
        let looks = lab.looks();
        let votes =
            |look: &super::lab::Look| look.members.contains(&joiner) && !look.learners.contains(&joiner);
        (!looks.is_empty() && looks.iter().all(|(_, look)| votes(look))).then_some(())
    })?;
    let now = lab.wait_leader()?;
    ensure!(now == leader, "the leader was {leader} and is {now}: whose snapshot it was is not known");
    lab.put(joiner, &format!("joined-{joiner}"), "yes")?;
    let equal = lab.equal()?;
    let detail = format!("a snapshot of index {snapshot}, then a vote, then a write; {equal}");
    Ok(Seen { count: format!("at {snapshot}"), detail })
}

/// A member that is removed ends, whoever leads; what it does when it is started again is ending once more.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn removes(lab: &mut Lab) -> Result<Seen> {
    for (leader, removed) in [(ETCD, JOINER), (DUNLIN, ETCD_JOINER)] {
        lab.lead(leader)?;
        lab.ask_until(leader, ("DELETE", &format!("/{removed}"), ""), |answer| answer.status == 204)?;
        lab.member(removed)?.wait_end(END_TIME)?;
        lab.member(removed)?.start()?;
        lab.member(removed)?.wait_end(END_TIME).context("it was started again")?;
        lab.put(leader, &format!("removed-{removed}"), "yes")?;
    }
    wait("all see three members", TIME, || {
        let looks = lab.looks();
        let is_so = looks.iter().all(|(_, look)| look.members == Lab::first_ids());
        (is_so && looks.len() == 2).then_some(())
    })?;
    let detail =
        "ours under etcd's leader, etcd's under ours: both ended, and ended again when started".into();
    Ok(Seen { count: "2/2".into(), detail })
}
