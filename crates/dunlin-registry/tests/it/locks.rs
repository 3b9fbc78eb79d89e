//! Locks and elections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_registry::store::KeyRange;
use dunlin_registry::{Consistency, Lock, Registry as _};
use tokio::time::timeout;

use crate::group::{Group, until};

const TTL: Duration = Duration::from_secs(1);

fn lock(group: &Group, id: u64) -> Lock {
    Lock::new(group.registry(id), "locks/one", TTL)
}

#[tokio::test]
async fn one_holds_it_at_a_time_and_each_has_a_greater_token_than_all_before() {
    let group = Group::of(3).await;
    let (inside, greatest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..12 {
        let (lock, inside, greatest) = (lock(&group, 1 + n % 3), inside.clone(), greatest.clone());
        tasks.spawn(async move {
            let held = lock.acquire().await.unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody else is in");
            assert!(greatest.fetch_max(held.token(), Ordering::SeqCst) < held.token());
            tokio::time::sleep(Duration::from_millis(5)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            held.release().await.unwrap();
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn who_came_first_goes_first_and_who_gave_up_is_passed_over() {
    let group = Group::of(1).await;
    let first = lock(&group, 1).acquire().await.unwrap();
    let waiting = async |n: usize| {
        until(async || {
            let (answer, _) =
                group.registry(1).range(KeyRange::prefix("locks/one/"), 0, Consistency::Stale).await.unwrap();
            (answer.entries.len() == n).then_some(())
        })
        .await;
    };
    let second = tokio::spawn({
        let lock = lock(&group, 1);
        async move { lock.acquire().await }
    });
    waiting(2).await;
    let third = tokio::spawn({
        let lock = lock(&group, 1);
        async move { lock.acquire().await }
    });
    waiting(3).await;
    second.abort();
    assert!(!third.is_finished());
    drop(first);
    let third = timeout(3 * TTL, third).await.unwrap().unwrap().unwrap();
    assert!(!third.is_lost());
}

#[tokio::test]
async fn a_holder_that_cannot_keep_its_lease_alive_hears_of_it_and_another_one_gets_it() {
    let mut group = Group::of(3).await;
    let leader = group.leader().await;
    let [holder, other] = group.others(leader)[..] else { panic!() };
    let held = lock(&group, holder).acquire().await.unwrap();
    group.kill(holder).await;
    timeout(3 * TTL, held.lost()).await.unwrap();
    assert!(held.is_lost());
    let next = timeout(5 * TTL, lock(&group, other).acquire()).await.unwrap().unwrap();
    assert!(next.token() > held.token());
}

#[tokio::test]
async fn everybody_reads_what_the_elected_one_said() {
    let group = Group::of(3).await;
    let office = |id| Lock::new(group.registry(id), "offices/mayor", TTL);
    assert_eq!(office(1).holder().await.unwrap(), None);
    let held = office(2).campaign("two").await.unwrap();
    assert_eq!(office(3).holder().await.unwrap().unwrap(), "two");
    held.release().await.unwrap();
    assert_eq!(office(1).holder().await.unwrap(), None);
}
