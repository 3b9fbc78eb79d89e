//! The claims about members that die, stand still and come back.

use anyhow::{Context, Result, ensure};

use super::lab::Lab;
use super::ledger::{Happened, Ledger, Load};
use crate::table::Seen;

/// Who writes and reads meanwhile.
const LOAD: Load = Load { writers: 2, readers: 1 };

/// Writes that must succeed before something happens to a member, and after it.
const WRITES_BETWEEN: usize = 100;

/// Who dies or stands still, and who leads then: each member once as the leader and once as a follower.
const TURNS: [(u64, u64); 6] = [(1, 1), (2, 2), (3, 3), (1, 3), (2, 3), (3, 1)];

/// Each member is killed while it leads and while it follows, then all of them at once, under writes through all of them, and goes
/// on from its disk. No write that was acknowledged is lost.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn kills(lab: &mut Lab) -> Result<Seen> {
    let (addrs, ledger) = (lab.running_addrs(), lab.ledger.clone());
    let happened = ledger.during(&addrs, LOAD, || {
        for (victim, leader) in TURNS {
            kill(lab, &ledger, (victim, leader))
                .with_context(|| format!("member {victim} dies while {leader} leads"))?;
        }
        kill_all(lab, &ledger).context("all die at once")
    })?;
    seen(lab, &happened, "6 kills, 3 of them of the leader, and one of all")
}

fn kill(lab: &mut Lab, ledger: &Ledger, (victim, leader): (u64, u64)) -> Result<()> {
    lab.lead(leader)?;
    ledger.wait_more(WRITES_BETWEEN)?;
    lab.member(victim)?.kill();
    lab.wait_leader()?;
    ledger.wait_more(WRITES_BETWEEN)?;
    lab.member(victim)?.start()?;
    is_back(lab, victim)
}

fn kill_all(lab: &mut Lab, ledger: &Ledger) -> Result<()> {
    ledger.wait_more(WRITES_BETWEEN)?;
    for id in Lab::first_ids() {
        lab.member(id)?.kill();
    }
    for id in Lab::first_ids() {
        lab.member(id)?.start()?;
    }
    Lab::first_ids().into_iter().try_for_each(|id| is_back(lab, id))
}

fn is_back(lab: &Lab, id: u64) -> Result<()> {
    let key = format!("back-{id}");
    lab.put(id, &key, "")?;
    ensure!(lab.get(id, &key)?.is_some(), "member {id} does not read what it wrote");
    Ok(())
}

/// Each member stands still while it leads and while it follows, until the others have gone on without it. When it goes on, it
/// neither answers with what is stale nor breaks anything.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn pauses(lab: &mut Lab) -> Result<Seen> {
    let (addrs, ledger) = (lab.running_addrs(), lab.ledger.clone());
    let happened = ledger.during(&addrs, LOAD, || {
        TURNS.into_iter().try_for_each(|(victim, leader)| {
            pause(lab, &ledger, (victim, leader))
                .with_context(|| format!("member {victim} stands still while {leader} leads"))
        })
    })?;
    seen(lab, &happened, "6 pauses, 3 of them of the leader")
}

fn pause(lab: &mut Lab, ledger: &Ledger, (victim, leader): (u64, u64)) -> Result<()> {
    lab.lead(leader)?;
    ledger.wait_more(WRITES_BETWEEN)?;
    lab.member(victim)?.pause()?;
    // Whoever writes through it waits for it; through the others it goes on, under a new leader if need be.
    let outcome = ledger.wait_more(WRITES_BETWEEN);
    lab.member(victim)?.go_on()?;
    outcome?;
    is_back(lab, victim)
}

fn seen(lab: &Lab, happened: &Happened, what: &str) -> Result<Seen> {
    let (equal, Happened { longest_pause, reads }) = (lab.equal()?, happened);
    let pause = longest_pause.as_millis();
    let detail = format!(
        "{what}; {equal}; {reads} reads, none stale; the longest time without a write was {pause} ms"
    );
    Ok(Seen { count: format!("{0}/{0}", TURNS.len()), detail })
}
