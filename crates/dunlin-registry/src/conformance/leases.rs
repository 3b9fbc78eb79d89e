//! Claims about leases. How long one lives beyond its time is nobody's promise but that it ends soon.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::place::Place;
use super::violation::{Done, Violation, holds, refused, same, soon};
use crate::registry::RegistryExt as _;
use crate::store::{Answer, EventKind, LeaseGrant, Operation, StoreError};

/// The time of the leases that are to be over: longer than an election, so that what is put under one is in time.
const SHORT: Duration = Duration::from_secs(3);

/// The time of the leases that are not.
const LONG: Duration = Duration::from_secs(60);

/// Waits until a key is gone.
async fn gone(place: &Place, name: &str) -> Result<(), Violation> {
    let waiting = async {
        while place.get(name).await?.is_some() {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    soon("the end of a lease", waiting).await?
}

pub(super) async fn expires(place: &Place) -> Result<(), Violation> {
    place.put("stays", "").await?;
    let (lease, begin, _) = place.put_briefly("leased", SHORT).await?;
    gone(place, "leased").await?;
    holds("a lease lives for its time", begin.elapsed() >= SHORT)?;
    place.must_have("the keys after it", &["stays"]).await?;
    let error = StoreError::LeaseUnknown { lease };
    refused("keeping alive what is over", place.one.keep_alive(lease).await, error)
}

pub(super) async fn kept_alive(place: &Place) -> Result<(), Violation> {
    loop {
        let (lease, begin, _) = place.put_briefly("kept", SHORT).await?;
        let (mut renewed_at, mut kept) = (begin, Ok(()));
        while begin.elapsed() < SHORT * 2 && kept.is_ok() {
            sleep(SHORT / 6).await;
            let asked_at = Instant::now();
            // Whoever knows the id may.
            kept = place.other.keep_alive(lease).await;
            if kept.is_ok() {
                renewed_at = asked_at;
            }
        }
        let is_there = place.get("kept").await?.is_some();
        // Where keeping it alive came too late, nothing is claimed.
        if renewed_at.elapsed() < SHORT {
            kept.done("keeping a lease alive")?;
            holds("a lease that is kept alive is there", is_there)?;
            return gone(place, "kept").await;
        }
    }
}

pub(super) async fn revoked(place: &Place) -> Result<(), Violation> {
    let lease = place.lease(LONG).await?;
    let mut watch = place.watch(0).await?;
    for name in ["b", "a", "c"] {
        place.put_leased(name, "", lease).await?;
        place.next(&mut watch).await?;
    }
    place.put("stays", "").await?;
    place.next(&mut watch).await?;
    place.one.revoke_lease(lease).await.done("ending a lease")?;
    place.must_have("the keys after it", &["stays"]).await?;
    let (mut names, mut revisions) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (kind, name, revision) = place.next(&mut watch).await?;
        same("what happens to its keys", kind, EventKind::Delete)?;
        names.push(name);
        revisions.push(revision);
    }
    names.sort_unstable();
    revisions.dedup();
    same(
        "the keys of a lease, and at how many revisions they go",
        (names.join(" "), revisions.len()),
        ("a b c".to_owned(), 1),
    )
}

pub(super) async fn last_lease(place: &Place) -> Result<(), Violation> {
    let (first, second) = (place.lease(LONG).await?, place.lease(LONG).await?);
    for name in ["freed", "moved", "kept"] {
        place.put_leased(name, "1", first).await?;
    }
    same("the lease of a key", place.must_get("freed").await?.lease, first)?;
    place.put("freed", "2").await?;
    same("the lease of a key that was put again without", place.must_get("freed").await?.lease, 0)?;
    place.put_leased("moved", "2", second).await?;
    place.one.revoke_lease(first).await.done("ending a lease")?;
    place.must_have("the keys after the first lease", &["freed", "moved"]).await?;
    place.one.revoke_lease(second).await.done("ending a lease")?;
    place.must_have("the keys after the second one", &["freed"]).await
}

pub(super) async fn ids(place: &Place) -> Result<(), Violation> {
    let (one, other) = (place.lease(LONG).await?, place.lease(LONG).await?);
    holds("leases have different ids, and none is 0", one != other && one != 0 && other != 0)?;
    // Within what any registry has for ids, and unlikely enough to be somebody's.
    let lease = fastrand::u64(1 << 40..1 << 62);
    let grant = || Operation::LeaseGrant(LeaseGrant { lease, ttl_ms: 60_000 });
    same("the id that was asked for", place.execute(grant()).await?.answer, Some(Answer::Lease(lease)))?;
    refused("the same id again", place.one.execute(grant()).await, StoreError::LeaseExists { lease })?;
    let alive = place.execute(Operation::LeaseKeepAlive(lease)).await?;
    same("the answer to keeping one alive", alive.answer, Some(Answer::Lease(lease)))?;
    for lease in [one, other, lease] {
        place.one.revoke_lease(lease).await.done("ending a lease")?;
    }
    Ok(())
}
