//! Claims about locks, which are made of leases, puts and watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::place::Place;
use super::violation::{Done, Violation, holds, same, soon};
use crate::lock::Lock;
use crate::registry::{Consistency, Registry};
use crate::store::KeyRange;

const TTL: Duration = Duration::from_secs(5);

fn lock(place: &Place, registry: &Arc<dyn Registry>) -> Lock {
    let name = String::from_utf8_lossy(&place.key("lock")).into_owned();
    Lock::new(registry.clone(), name, TTL)
}

pub(super) async fn exclusion(place: &Place) -> Result<(), Violation> {
    let (inside, tokens) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let holders = (0..8).map(async |n| {
        let registry = if n % 2 == 0 { &place.one } else { &place.other };
        let held = soon("a lock", lock(place, registry).acquire()).await?.done("taking a lock")?;
        holds("nobody else holds the lock", !inside.swap(true, Ordering::SeqCst))?;
        tokens.lock().await.push(held.token());
        sleep(Duration::from_millis(5)).await;
        inside.store(false, Ordering::SeqCst);
        held.release().await.done("giving up a lock")
    });
    try_join_all(holders).await?;
    let tokens = tokens.into_inner();
    same("how often it was held", tokens.len(), 8)?;
    holds("tokens grow", tokens.is_sorted_by(|before, after| before < after))
}

/// Waits until so many wait for the lock or hold it.
async fn waiting(place: &Place, count: usize) -> Result<(), Violation> {
    let looking = async {
        loop {
            let range = KeyRange::prefix(place.key("lock/"));
            let (answer, _) =
                place.one.range(range, 0, Consistency::Linearizable).await.done("a read of who waits")?;
            if answer.entries.len() == count {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("somebody who waits for the lock", looking).await?
}

pub(super) async fn passed_over(place: &Place) -> Result<(), Violation> {
    let first = lock(place, &place.one).acquire().await.done("taking a lock")?;
    let (second_lock, third_lock) = (lock(place, &place.other), lock(place, &place.one));
    let second = tokio::spawn(async move { second_lock.acquire().await });
    waiting(place, 2).await?;
    let third = tokio::spawn(async move { third_lock.acquire().await });
    waiting(place, 3).await?;
    second.abort();
    waiting(place, 2).await?;
    holds("nobody gets what is held", !third.is_finished())?;
    let token = first.token();
    drop(first);
    let Ok(third) = soon("the lock, after others gave it up,", third).await? else {
        return Err(Violation::DoesNotHold { what: "who waits for a lock lives" });
    };
    let third = third.done("taking a lock")?;
    holds("the next token is greater", third.token() > token)?;
    third.release().await.done("giving up a lock")
}
