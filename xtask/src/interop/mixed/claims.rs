//! The claims about a group whose members stay: it forms, each of them leads, and what is written through one is read through all.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::lab::{Lab, TIME};
use super::ledger::Load;
use crate::member::Kind;
use crate::table::Seen;
use crate::wait::wait;

/// What a member of ours says when it does not take what another one sent, or breaks.
const WARNINGS: [&str; 5] = [
    "a message was refused",
    "a message that came was dropped",
    "a snapshot came that is none",
    "snapshot was not taken",
    "panicked",
];

/// Why a message of a member that was removed is refused, as it must be.
const REMOVED: &str = "has been permanently removed";

/// Bytes of a value, at most.
const VALUE_LEN_MAX: usize = 1 << 20;

/// Who writes when it is about the number of writes.
const LOAD: Load = Load { writers: 4, readers: 1 };

/// The first members begin with the same entries and elect one of them.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn forms(lab: &mut Lab) -> Result<Seen> {
    let begin = Instant::now();
    for id in Lab::first_ids() {
        lab.member(id)?.start()?;
    }
    let leader = lab.wait_leader()?;
    for id in Lab::first_ids() {
        lab.put(id, &format!("formed-{id}"), "yes")?;
    }
    let members = Lab::first_ids();
    lab.all_see("the members are the first ones", |look| look.members == members)?;
    let took = begin.elapsed().as_millis();
    Ok(Seen { count: "3".into(), detail: format!("member {leader} led first; all wrote within {took} ms") })
}

/// Each member leads after each other one, by a transfer of leadership.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn leads(lab: &mut Lab) -> Result<Seen> {
    // A way through all pairs of different members, each once.
    let turns = [1, 2, 3, 1, 3, 2, 1];
    let mut terms = Vec::new();
    for id in turns {
        lab.lead(id)?;
        lab.put(id, "led", &id.to_string())?;
        terms.extend(lab.looks().unwrap_or_default().first().map(|look| look.term));
    }
    let count = turns.len() - 1;
    Ok(Seen {
        count: format!("{count}/{count}"),
        detail: format!("led in turn: {turns:?}, in terms {terms:?}"),
    })
}

/// Whoever leads, what is written through any member is read at once through every member, and soon on every member.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn reads(lab: &mut Lab) -> Result<Seen> {
    let (mut fresh, mut stale) = (0, 0);
    for leader in Lab::first_ids() {
        lab.lead(leader)?;
        for writer in Lab::first_ids() {
            let (key, value) = (format!("read-{writer}"), format!("{leader}-{writer}"));
            lab.put(writer, &key, &value)?;
            for reader in Lab::first_ids() {
                let read = lab.get(reader, &key)?;
                ensure!(
                    read.as_deref() == Some(value.as_str()),
                    "under {leader}, {reader} reads {read:?} after {writer} wrote {value}"
                );
                fresh += 1;
                lab.ask_until(reader, ("GET", &format!("/{key}?stale"), ""), |answer| {
                    answer.text() == value
                })?;
                stale += 1;
            }
        }
    }
    large(lab)?;
    // All keys that begin with `read-`: up to the character after the hyphen.
    lab.ask_until(1, ("DELETE", "/debug/range/read-", "read."), |answer| answer.status == 204)?;
    for reader in Lab::first_ids() {
        let read = lab.get(reader, "read-1")?;
        ensure!(read.is_none(), "{reader} reads {read:?} of a range that was removed");
    }
    let detail = format!(
        "3 leaders, 3 writers, 3 readers: {fresh} linearizable reads, {stale} local ones; so are 3 values of 1 MiB; \
         a range is removed on all"
    );
    Ok(Seen { count: format!("{fresh}/27"), detail })
}

/// The largest values there may be, each an entry that fills a message, go through each member to each.
fn large(lab: &Lab) -> Result<()> {
    for writer in Lab::first_ids() {
        let (key, value) = (format!("large-{writer}"), writer.to_string().repeat(VALUE_LEN_MAX));
        lab.put(writer, &key, &value)?;
        for reader in Lab::first_ids() {
            let read = lab.get(reader, &key)?;
            ensure!(read.as_ref() == Some(&value), "{reader} reads {key} otherwise than {writer} wrote it");
        }
    }
    Ok(())
}

/// All that was ever acknowledged is on every member in the end, and all members are equal.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn writes(lab: &mut Lab) -> Result<Seen> {
    let (begin, before) = (Instant::now(), lab.ledger.count());
    let (ledger, writes) = (&lab.ledger, lab.writes);
    let limit = TIME * 10;
    let happened = ledger.during(&lab.running_addrs(), LOAD, || {
        wait("everything is written", limit, || (ledger.count() >= writes).then_some(()))
    })?;
    let (took, count) = (begin.elapsed(), ledger.count() - before);
    let equal = lab.equal()?;
    let rate = count as f64 / took.as_secs_f64();
    let detail = format!(
        "{equal}; the last {count} at {rate:.0} a second, beside {} reads, none stale",
        happened.reads
    );
    Ok(Seen { count: equal.acknowledged.to_string(), detail })
}

/// Our members refused nothing that members of the group sent, lost none of their snapshots, and none of them panicked: what their transport and
/// their node warn of stands in what they said.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn refusals(lab: &mut Lab) -> Result<Seen> {
    let (mut lines, mut members) = (0, 0);
    for member in lab.members.values().filter(|member| member.plan.kind == Kind::Dunlin) {
        let path = member.said();
        let said = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_warning = |line: &str| WARNINGS.iter().any(|warning| line.contains(warning));
        let bad = said.lines().find(|line| is_warning(line) && !line.contains(REMOVED));
        ensure!(bad.is_none(), "{} says: {:.300}", member.name(), bad.unwrap_or_default());
        lines += said.lines().count();
        members += 1;
    }
    Ok(Seen { count: "none".into(), detail: format!("in {lines} lines that {members} members of ours said") })
}
