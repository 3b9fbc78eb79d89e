//! Claims about watches.

use std::time::Duration;

use super::place::{Place, next};
use super::violation::{Done, Violation, holds, same};
use crate::registry::RegistryExt as _;
use crate::store::EventKind::{Delete, Put};
use crate::store::{Event, KeyRange, KeyValue, Txn, TxnStep};

pub(super) async fn from_now(place: &Place) -> Result<(), Violation> {
    let before = place.put("before", "").await?;
    let mut watch = place.watch(0).await?;
    let first = place.put("key", "value").await?;
    let mut event = next(&mut watch).await?;
    // Whoever was asked may have begun before it heard of that.
    if event.revision() == before {
        event = next(&mut watch).await?;
    }
    same("the first event", event, Event { kind: Put, entry: place.must_get("key").await? })?;
    place.one.delete(KeyRange::key(place.key("key"))).await.done("a delete")?;
    let event = next(&mut watch).await?;
    let mod_revision = event.revision();
    holds("a delete is later than the put", mod_revision > first)?;
    let entry = KeyValue { key: place.key("key"), mod_revision, ..KeyValue::default() };
    same("the event of a delete", event, Event { kind: Delete, entry })?;
    // One that nobody wants any more is no burden for others.
    for _ in 0..20 {
        drop(place.watch(0).await?);
    }
    let last = place.put("last", "").await?;
    same("an event after others have ended", place.next(&mut watch).await?, (Put, "last".to_owned(), last))
}

pub(super) async fn from_revision(place: &Place) -> Result<(), Violation> {
    let mut revisions = Vec::new();
    for n in 0..5 {
        revisions.push(place.put("key", &n.to_string()).await?);
    }
    for skipped in 0..5 {
        let expected: Vec<u64> = revisions.iter().skip(skipped).copied().collect();
        let mut watch = place.watch(expected.first().copied().unwrap_or_default()).await?;
        for revision in expected {
            same("the revision of an event", next(&mut watch).await?.revision(), revision)?;
        }
        let live = place.put("key", "live").await?;
        same("the event after those that were kept", next(&mut watch).await?.revision(), live)?;
        revisions.push(live);
    }
    Ok(())
}

pub(super) async fn txn_order(place: &Place) -> Result<(), Violation> {
    let before = place.put("old", "").await?;
    let mut watch = place.watch(before + 1).await?;
    let then = vec![
        place.put_step("z", ""),
        place.put_step("a", ""),
        TxnStep::Delete(KeyRange::key(place.key("old"))).into(),
    ];
    let done = place.one.txn(Txn { then, ..Txn::default() }).await.done("a transaction")?;
    let revision = done.steps.first().map_or(0, |step| step.revision);
    for (kind, name) in [(Put, "z"), (Put, "a"), (Delete, "old")] {
        same("an event of a transaction", place.next(&mut watch).await?, (kind, name.to_owned(), revision))?;
    }
    let after = place.put("after", "").await?;
    same("the event after it", place.next(&mut watch).await?, (Put, "after".to_owned(), after))
}

pub(super) async fn only_its_keys(place: &Place) -> Result<(), Violation> {
    let watch = |range: KeyRange| place.other.watch(range, 0);
    let mut alone = watch(KeyRange::key(place.key("b"))).await.done("a watch of a key")?;
    let mut prefix = watch(KeyRange::prefix(place.key("b"))).await.done("a watch of a prefix")?;
    let between = KeyRange::between(place.key("b"), place.key("c"));
    let mut between = watch(between).await.done("a watch of a range")?;
    let nothing = KeyRange::between(place.key("z"), place.key("a"));
    let nothing = watch(nothing).await.done("a watch of no key")?;
    for name in ["a", "b", "bb", "c", "ba"] {
        place.put(name, "").await?;
    }
    place.put("b", "last").await?;
    for (watch, expected) in [
        (&mut alone, &["b", "b"][..]),
        (&mut prefix, &["b", "bb", "ba", "b"]),
        (&mut between, &["b", "bb", "ba", "b"]),
    ] {
        for name in expected {
            same("the key of an event", place.next(watch).await?.1, (*name).to_owned())?;
        }
    }
    drop(nothing);
    Ok(())
}

pub(super) async fn lease_end(place: &Place) -> Result<(), Violation> {
    let mut watch = place.watch(0).await?;
    let (_, _, put) = place.put_briefly("key", Duration::from_secs(3)).await?;
    same("the put", place.next(&mut watch).await?, (Put, "key".to_owned(), put))?;
    let (kind, name, _) = place.next(&mut watch).await?;
    same("what happens when its lease is over", (kind, name), (Delete, "key".to_owned()))
}

pub(super) async fn resumes(place: &Place) -> Result<(), Violation> {
    let first = place.put("key-0", "").await?;
    let then = (1..=3).map(|n| place.put_step(&format!("key-{n}"), "")).collect();
    place.one.txn(Txn { then, ..Txn::default() }).await.done("a transaction")?;
    place.put("key-4", "").await?;
    let mut from = first;
    let mut seen = Vec::new();
    // Each watch gives one event and ends; the events of one revision come again until all of them were seen.
    while seen.last().is_none_or(|last| last != "key-4") {
        let mut watch = place.watch(from).await?;
        let skipped = seen.len();
        let (_, name, revision) = place.next(&mut watch).await?;
        holds("a watch goes back no further than it is asked to", revision >= from)?;
        if seen.contains(&name) {
            // It ended in the middle of a revision: what is left of that comes next.
            loop {
                let (_, name, _) = place.next(&mut watch).await?;
                if !seen.contains(&name) {
                    seen.push(name);
                    break;
                }
            }
        } else {
            seen.push(name);
        }
        holds("a watch that goes on sees something new", seen.len() > skipped)?;
        from = watch.resume_revision();
    }
    same("what all of them saw", seen.join(" "), "key-0 key-1 key-2 key-3 key-4".to_owned())?;
    let mut watch = place.watch(from).await?;
    let last = place.put("key-5", "").await?;
    same("what comes after all", place.next(&mut watch).await?, (Put, "key-5".to_owned(), last))
}
