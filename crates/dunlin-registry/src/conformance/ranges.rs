//! Claims about ranges of keys.

use super::place::Place;
use super::violation::{Done, Violation, holds, same};
use crate::registry::{Consistency, RegistryExt as _};
use crate::store::{Answer, KeyRange, Operation, RangeAnswer};

async fn put_all(place: &Place, names: &[&str]) -> Result<(), Violation> {
    for name in names {
        place.put(name, name).await?;
    }
    Ok(())
}

async fn range(place: &Place, range: KeyRange, limit: u64) -> Result<RangeAnswer, Violation> {
    let read = place.one.range(range, limit, Consistency::Linearizable).await;
    Ok(read.done("a read of a range")?.0)
}

fn names(place: &Place, answer: &RangeAnswer) -> Vec<String> {
    answer.entries.iter().map(|entry| place.name(&entry.key)).collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(super) async fn order(place: &Place) -> Result<(), Violation> {
    put_all(place, &["b", "a", "ab", "B", "a/", "aa"]).await?;
    let answer = range(place, place.all(), 0).await?;
    same("the order of keys", names(place, &answer), owned(&["B", "a", "a/", "aa", "ab", "b"]))?;
    holds("a range that gave all has no more", !answer.has_more)
}

pub(super) async fn limit(place: &Place) -> Result<(), Violation> {
    put_all(place, &["1", "2", "3", "4"]).await?;
    for (limit, has_more) in [(1, true), (3, true), (4, false), (5, false), (u64::MAX, false)] {
        let answer = range(place, place.all(), limit).await?;
        let expected = owned(
            ["1", "2", "3", "4"]
                .get(..usize::try_from(limit).map_or(4, |limit| limit.min(4)))
                .unwrap_or_default(),
        );
        same(
            "keys within a limit, and whether there are more",
            (names(place, &answer), answer.has_more),
            (expected, has_more),
        )?;
    }
    Ok(())
}

pub(super) async fn prefix(place: &Place) -> Result<(), Violation> {
    put_all(place, &["a", "a/1", "a/2", "a0", "b"]).await?;
    let answer = range(place, KeyRange::prefix(place.key("a/")), 0).await?;
    same("keys of a prefix", names(place, &answer), owned(&["a/1", "a/2"]))?;
    let answer = range(place, KeyRange::key(place.key("a")), 0).await?;
    same("a key alone", names(place, &answer), owned(&["a"]))?;
    let answer = range(place, KeyRange::prefix(place.key("none")), 0).await?;
    same("keys of a prefix that no key has", names(place, &answer), owned(&[]))
}

pub(super) async fn ends(place: &Place) -> Result<(), Violation> {
    put_all(place, &["a", "b", "c"]).await?;
    let between = |start: &str, end: &str| KeyRange::between(place.key(start), place.key(end));
    for (start, end, expected) in
        [("a", "c", &["a", "b"][..]), ("aa", "cc", &["b", "c"]), ("b", "b", &[]), ("c", "a", &[])]
    {
        let answer = range(place, between(start, end), 0).await?;
        same("keys from one up to another", names(place, &answer), owned(expected))?;
    }
    let above = KeyRange { start: place.key("c"), end: Some(Default::default()) };
    let answer = range(place, above, 1).await?;
    same("the first key of those from one on", names(place, &answer), owned(&["c"]))?;
    let before = place.one.delete(between("c", "a")).await.done("a delete of nothing")?;
    same("keys deleted of a range that ends before it starts", before, 0)?;
    same("the empty key", range(place, KeyRange::key(""), 0).await?, RangeAnswer::default())
}

pub(super) async fn delete_counts(place: &Place) -> Result<(), Violation> {
    put_all(place, &["a/1", "a/2", "a/3", "b"]).await?;
    let delete = |range: KeyRange| place.execute(Operation::Delete(range));
    let deleted = delete(KeyRange::prefix(place.key("a/"))).await?;
    same("keys deleted of a prefix", deleted.answer, Some(Answer::Deleted(3)))?;
    place.must_have("keys after it", &["b"]).await?;
    let again = delete(KeyRange::prefix(place.key("a/"))).await?;
    same("keys deleted a second time", again.answer, Some(Answer::Deleted(0)))?;
    holds("no revision is given back", again.revision >= deleted.revision)
}
