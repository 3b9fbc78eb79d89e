//! Claims about many commands and many events.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use super::place::{Place, next};
use super::violation::{Done, Violation, holds, same};
use crate::registry::RegistryExt as _;
use crate::store::{Compare, Compared, Relation, Txn};

/// Commands on their way at a time.
const AT_A_TIME: usize = 32;

pub(super) async fn commands(place: &Place) -> Result<(), Violation> {
    let puts = (0..200).map(|n| {
        let registry = if n % 2 == 0 { &place.one } else { &place.other };
        async move { registry.put(place.key(&format!("shared-{}", n % 10)), "x", 0).await.done("a put") }
    });
    let revisions: Vec<u64> = iter(puts).buffer_unordered(AT_A_TIME).try_collect().await?;
    let mut different = revisions.clone();
    different.sort_unstable();
    different.dedup();
    same("revisions of puts at the same time", different.len(), revisions.len())?;
    for n in 0..10 {
        same("how often a key was put", place.must_get(&format!("shared-{n}")).await?.version, 20)?;
    }
    // Of many who want a key, one gets it.
    let take = || Txn {
        compares: vec![Compare {
            key: place.key("taken"),
            relation: Relation::Equal.into(),
            compared: Some(Compared::CreateRevision(0)),
        }],
        then: vec![place.put_step("taken", "x")],
        ..Txn::default()
    };
    let takes = (0..20).map(async |_| place.one.txn(take()).await.done("a transaction"));
    let taken = try_join_all(takes).await?;
    same("how many of those who want a key get it", taken.iter().filter(|answer| answer.has_held).count(), 1)
}

pub(super) async fn puts(place: &Place) -> Result<(), Violation> {
    const PUTS: usize = 1_000;
    let mut watch = place.watch(0).await?;
    let putting = async {
        let puts = (0..PUTS).map(|n| async move {
            place
                .put(&format!("key-{}", n % 50), &n.to_string())
                .await
                .map(|revision| (n.to_string(), revision))
        });
        iter(puts).buffer_unordered(AT_A_TIME).try_collect::<BTreeMap<_, _>>().await
    };
    let watching = async {
        let (mut seen, mut last) = (BTreeMap::new(), 0);
        while seen.len() < PUTS {
            let event = next(&mut watch).await?;
            let value = String::from_utf8_lossy(&event.entry.value).into_owned();
            holds("events come in the order of their revisions", event.revision() > last)?;
            last = event.revision();
            holds("no event comes twice", seen.insert(value, last).is_none())?;
        }
        Ok(seen)
    };
    let (put, seen) = futures_util::future::try_join(putting, watching).await?;
    holds("each put is seen at the revision that it was answered with", put == seen)
}
