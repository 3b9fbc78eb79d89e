//! Claims about single keys.

use std::time::Duration;

use tokio::time::sleep;

use super::place::Place;
use super::violation::{Done, Violation, holds, same, soon};
use crate::limits::{KEY_LEN_MAX, VALUE_LEN_MAX};
use crate::registry::{Consistency, RegistryExt as _};
use crate::store::{Answer, KeyRange, Operation};

pub(super) async fn put_is_read(place: &Place) -> Result<(), Violation> {
    same("a key before its put", place.get("key").await?, None)?;
    let revision = place.put("key", "value").await?;
    let entry = place.must_get("key").await?;
    same("the value", &entry.value[..], b"value")?;
    same("the key", &entry.key, &place.key("key"))?;
    same("its lease", entry.lease, 0)?;
    let (_, read_at) =
        place.one.range(place.all(), 0, Consistency::Linearizable).await.done("a read of a range")?;
    holds("a read is of no revision before the put that it sees", read_at >= revision)
}

pub(super) async fn versions(place: &Place) -> Result<(), Violation> {
    let first = place.put("key", "1").await?;
    let other = place.put("other", "1").await?;
    let second = place.put("key", "2").await?;
    holds("revisions grow", first > 0 && first < other && other < second)?;
    let entry = place.must_get("key").await?;
    same("the number of its puts", entry.version, 2)?;
    same(
        "the revisions of its first and last put",
        (entry.create_revision, entry.mod_revision),
        (first, second),
    )?;
    let other_entry = place.must_get("other").await?;
    same(
        "version and revisions of the other key",
        (other_entry.version, other_entry.create_revision, other_entry.mod_revision),
        (1, other, other),
    )
}

pub(super) async fn put_says_whether_it_was_there(place: &Place) -> Result<(), Violation> {
    let put = || Operation::Put(place.put_of("key", "", 0));
    same("the answer to a first put", place.execute(put()).await?.answer, Some(Answer::Put(false)))?;
    // An empty value is one.
    same("the answer to a second put", place.execute(put()).await?.answer, Some(Answer::Put(true)))?;
    let deleted = place.execute(Operation::Delete(KeyRange::key(place.key("key")))).await?;
    same("the answer to a delete", deleted.answer, Some(Answer::Deleted(1)))?;
    same("the answer to a put after it", place.execute(put()).await?.answer, Some(Answer::Put(false)))
}

pub(super) async fn deleted_begins_anew(place: &Place) -> Result<(), Violation> {
    let first = place.put("key", "1").await?;
    place.put("key", "2").await?;
    same("keys deleted", place.one.delete(KeyRange::key(place.key("key"))).await.done("a delete")?, 1)?;
    same("a deleted key", place.get("key").await?, None)?;
    let again = place.put("key", "3").await?;
    holds("a delete has a revision of its own", again > first + 2)?;
    let entry = place.must_get("key").await?;
    same(
        "version and creation of a key that is put again",
        (entry.version, entry.create_revision),
        (1, again),
    )
}

pub(super) async fn largest(place: &Place) -> Result<(), Violation> {
    let mut key = place.key("largest-").to_vec();
    key.resize(KEY_LEN_MAX, b'k');
    let value = vec![0xa5; VALUE_LEN_MAX];
    place.one.put(key.clone(), value.clone(), 0).await.done("a put of the largest key and value")?;
    let entry = place.other.get(key, Consistency::Linearizable).await.done("a read of it")?;
    holds("the largest value comes back whole", entry.is_some_and(|entry| entry.value == value))
}

pub(super) async fn any_bytes(place: &Place) -> Result<(), Violation> {
    for bytes in [&b"\0"[..], b"\xff", b"\xff\xff\0", b"a\0b", b"\xc3\x28", b"/../"] {
        let key = [&place.key("bytes-")[..], bytes].concat();
        place.one.put(key.clone(), bytes.to_vec(), 0).await.done("a put of any bytes")?;
        let entry =
            place.other.get(key.clone(), Consistency::Linearizable).await.done("a read of any bytes")?;
        let seen = entry.map(|entry| (entry.key.to_vec(), entry.value.to_vec()));
        same("key and value of any bytes", seen, Some((key, bytes.to_vec())))?;
    }
    Ok(())
}

pub(super) async fn other_handle(place: &Place) -> Result<(), Violation> {
    for round in 0..20 {
        let (value, name) = (round.to_string(), format!("key-{}", round % 3));
        let (writer, reader) =
            if round % 2 == 0 { (&place.one, &place.other) } else { (&place.other, &place.one) };
        writer.put(place.key(&name), value.clone(), 0).await.done("a put")?;
        let entry = reader.get(place.key(&name), Consistency::Linearizable).await.done("a read")?;
        same("what another handle reads", entry.map(|entry| entry.value), Some(value.into()))?;
    }
    Ok(())
}

pub(super) async fn stale(place: &Place) -> Result<(), Violation> {
    place.put("key", "value").await?;
    let reading = async {
        loop {
            let entry = place.other.get(place.key("key"), Consistency::Stale).await.done("a stale read")?;
            if let Some(entry) = entry {
                return same("what a stale read sees", &entry.value[..], b"value");
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("what was put, in a stale read,", reading).await?
}
