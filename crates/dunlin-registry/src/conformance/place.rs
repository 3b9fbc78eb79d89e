//! What a claim has: two handles, keys of its own, and words for what it asks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::violation::{Done, Violation, same, soon};
use crate::registry::{Consistency, Registry, RegistryExt as _};
use crate::store::{
    Answer, Answered, Event, EventKind, KeyRange, KeyValue, Operation, Put, TxnOperation, TxnStep,
};
use crate::watch::Watch;

/// Where a claim is made: two handles of one registry, and keys that nobody else uses.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) one: Arc<dyn Registry>,
    pub(super) other: Arc<dyn Registry>,
    prefix: String,
}

impl Place {
    /// A place for one claim, by two handles of a registry.
    #[must_use]
    pub fn new(one: Arc<dyn Registry>, other: Arc<dyn Registry>) -> Self {
        // The same store may have seen these claims before.
        Self { one, other, prefix: format!("conformance/{:016x}/", fastrand::u64(..)) }
    }

    /// A key of this place.
    pub(super) fn key(&self, name: &str) -> Bytes {
        format!("{}{name}", self.prefix).into()
    }

    /// All keys of this place.
    pub(super) fn all(&self) -> KeyRange {
        KeyRange::prefix(self.prefix.clone())
    }

    /// The name of a key without the place.
    pub(super) fn name(&self, key: &[u8]) -> String {
        let name = key.strip_prefix(self.prefix.as_bytes()).unwrap_or(key);
        String::from_utf8_lossy(name).into_owned()
    }

    pub(super) fn put_of(&self, name: &str, value: &str, lease: u64) -> Put {
        Put { key: self.key(name), value: value.to_owned().into(), lease }
    }

    pub(super) fn put_step(&self, name: &str, value: &str) -> TxnOperation {
        TxnStep::Put(self.put_of(name, value, 0)).into()
    }

    /// Puts a key. The revision after it.
    pub(super) async fn put(&self, name: &str, value: &str) -> Result<u64, Violation> {
        self.put_leased(name, value, 0).await
    }

    pub(super) async fn put_leased(&self, name: &str, value: &str, lease: u64) -> Result<u64, Violation> {
        self.one.put(self.key(name), value.to_owned(), lease).await.done("a put")
    }

    /// Does something that must not fail.
    pub(super) async fn execute(&self, operation: Operation) -> Result<Answered, Violation> {
        self.one.execute(operation).await.done("a command")
    }

    /// A lease, as long as claims use them.
    pub(super) async fn lease(&self, ttl: Duration) -> Result<u64, Violation> {
        self.one.grant_lease(ttl).await.done("the grant of a lease")
    }

    /// A key under a short lease of its own: the lease, when it was asked for, and the revision of the put.
    pub(super) async fn put_briefly(
        &self,
        name: &str,
        ttl: Duration,
    ) -> Result<(u64, Instant, u64), Violation> {
        loop {
            let begin = Instant::now();
            let lease = self.lease(ttl).await?;
            let put = self.one.put(self.key(name), "", lease).await;
            // A machine that does other things may be too slow for the put to be in time.
            if put.is_ok() || begin.elapsed() < ttl {
                return Ok((lease, begin, put.done("a put")?));
            }
        }
    }

    /// A key, as fresh as it can be.
    pub(super) async fn get(&self, name: &str) -> Result<Option<KeyValue>, Violation> {
        self.one.get(self.key(name), Consistency::Linearizable).await.done("a read")
    }

    /// A key that is there.
    pub(super) async fn must_get(&self, name: &str) -> Result<KeyValue, Violation> {
        self.get(name).await?.ok_or(Violation::DoesNotHold { what: "a key that was put is there" })
    }

    /// That these keys are there, and no others of this place.
    pub(super) async fn must_have(&self, what: &'static str, names: &[&str]) -> Result<(), Violation> {
        let (answer, _) =
            self.other.range(self.all(), 0, Consistency::Linearizable).await.done("a read of a range")?;
        let seen: Vec<String> = answer.entries.iter().map(|entry| self.name(&entry.key)).collect();
        same(what, seen, names.iter().map(|&name| name.to_owned()).collect())
    }

    /// A watch of all keys of this place, by the other handle.
    pub(super) async fn watch(&self, from_revision: u64) -> Result<Watch, Violation> {
        self.other.watch(self.all(), from_revision).await.done("the beginning of a watch")
    }

    /// What the next event of a watch is, in short: what happened, and to which key.
    pub(super) async fn next(&self, watch: &mut Watch) -> Result<(EventKind, String, u64), Violation> {
        let event = next(watch).await?;
        Ok((event.kind, self.name(&event.entry.key), event.revision()))
    }
}

/// The next event of a watch, soon.
pub(super) async fn next(watch: &mut Watch) -> Result<Event, Violation> {
    soon("an event of a watch", watch.next()).await?.done("a watch")
}

/// What a transaction's steps gave.
pub(super) fn answers(steps: Vec<Answered>) -> Vec<Option<Answer>> {
    steps.into_iter().map(|step| step.answer).collect()
}
