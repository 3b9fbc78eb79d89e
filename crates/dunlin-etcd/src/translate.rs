//! A registry's words in etcd's, and back: where its keys are, what it compares, what it did. Pure.
//!
//! Invariants: what is asked touches no key outside of the prefix; of a transaction each step has its answer, also the steps that etcd has no
//! word for.

use bytes::Bytes;
use dunlin_registry::RegistryError;
use dunlin_registry::limits::RANGE_ENTRIES_MAX;
use dunlin_registry::store::{
    self, Answer, Answered, Compared, Get, KeyRange, Put, RangeAnswer, Relation, TxnAnswer, TxnStep,
};

use crate::messages::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, Event, EventType, KeyValue, PutRequest,
    RangeRequest, RangeResponse, RequestOp, RequestStep, ResponseHeader, ResponseOp, ResponseStep,
    TargetUnion, TxnRequest, TxnResponse,
};

/// All above, as the end of a range.
const ABOVE_ALL: Bytes = Bytes::from_static(b"\0");

/// Where our keys are among those of a cluster: under a prefix, which is not empty.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: Bytes,
}

impl Names {
    /// Under this prefix, unless it is empty.
    pub(crate) fn under(prefix: Bytes) -> Option<Self> {
        (!prefix.is_empty()).then_some(Self { prefix })
    }

    fn key(&self, key: &[u8]) -> Bytes {
        [&self.prefix, key].concat().into()
    }

    /// A range as its start and its end.
    pub(crate) fn range(&self, range: &KeyRange) -> (Bytes, Bytes) {
        // No key of ours is empty, so nobody puts the prefix alone.
        let nothing = (self.prefix.clone(), Bytes::new());
        let start = if range.start.is_empty() { &ABOVE_ALL } else { &range.start };
        match &range.end {
            None if range.start.is_empty() => nothing,
            None => (self.key(&range.start), Bytes::new()),
            Some(end) if end.is_empty() => {
                let above = KeyRange::prefix(self.prefix.clone()).end.unwrap_or_default();
                (self.key(start), if above.is_empty() { ABOVE_ALL } else { above })
            }
            Some(end) if end <= start => nothing,
            Some(end) => (self.key(start), self.key(end)),
        }
    }

    pub(crate) fn put(&self, put: &Put) -> PutRequest {
        let Put { key, value, lease } = put;
        PutRequest { key: self.key(key), value: value.clone(), lease: signed(*lease), prev_kv: true }
    }

    pub(crate) fn delete(&self, range: &KeyRange) -> DeleteRangeRequest {
        let (key, range_end) = self.range(range);
        DeleteRangeRequest { key, range_end }
    }

    /// A read of at most so many keys.
    pub(crate) fn read(&self, range: &KeyRange, limit: u64, serializable: bool) -> RangeRequest {
        let (key, range_end) = self.range(range);
        RangeRequest { key, range_end, limit: signed(limit), serializable }
    }

    pub(crate) fn txn(&self, txn: &store::Txn) -> TxnRequest {
        let steps = |operations: &[store::TxnOperation]| {
            operations
                .iter()
                .filter_map(|operation| Some(self.step(operation.step.as_ref()?)))
                .collect::<Vec<_>>()
        };
        let compare = txn.compares.iter().map(|compare| self.compare(compare)).collect();
        let (mut success, failure) = (steps(&txn.then), steps(&txn.otherwise));
        if success.is_empty() && failure.is_empty() {
            // A member answers what reads nothing from what it has, which may be old. Its answer is one more than was asked for.
            let nothing = self.read(&KeyRange::key(""), 1, false);
            success.push(RequestOp { request: Some(RequestStep::Range(nothing)) });
        }
        TxnRequest { compare, success, failure }
    }

    fn step(&self, step: &TxnStep) -> RequestOp {
        let request = match step {
            TxnStep::Put(put) => RequestStep::Put(self.put(put)),
            TxnStep::Delete(range) => RequestStep::DeleteRange(self.delete(range)),
            TxnStep::Get(Get { range, limit }) => RequestStep::Range(self.read(range, within(*limit), false)),
        };
        RequestOp { request: Some(request) }
    }

    fn compare(&self, compare: &store::Compare) -> Compare {
        let key = self.key(&compare.key);
        let (Ok(relation), Some(compared)) = (Relation::try_from(compare.relation), &compare.compared) else {
            return never(key);
        };
        let result = match relation {
            Relation::Equal => CompareResult::Equal,
            Relation::NotEqual => CompareResult::NotEqual,
            Relation::Greater => CompareResult::Greater,
            Relation::Less => CompareResult::Less,
        };
        let (target, union) = match compared {
            Compared::Version(given) => (CompareTarget::Version, TargetUnion::Version(signed(*given))),
            Compared::CreateRevision(given) => {
                (CompareTarget::Create, TargetUnion::CreateRevision(signed(*given)))
            }
            Compared::ModRevision(given) => (CompareTarget::Mod, TargetUnion::ModRevision(signed(*given))),
            Compared::Value(given) => (CompareTarget::Value, TargetUnion::Value(given.clone())),
            Compared::Lease(given) => (CompareTarget::Lease, TargetUnion::Lease(signed(*given))),
        };
        Compare { result: result.into(), target: target.into(), key, target_union: Some(union) }
    }

    /// A key of ours with its value.
    ///
    /// # Errors
    ///
    /// When it is none of ours.
    fn entry(&self, entry: KeyValue) -> Result<store::KeyValue, RegistryError> {
        if !entry.key.starts_with(&self.prefix) {
            return Err(RegistryError::NoAnswer);
        }
        Ok(store::KeyValue {
            key: entry.key.slice(self.prefix.len()..),
            value: entry.value,
            create_revision: unsigned(entry.create_revision),
            mod_revision: unsigned(entry.mod_revision),
            version: unsigned(entry.version),
            lease: unsigned(entry.lease),
        })
    }

    pub(crate) fn event(&self, event: Event) -> Result<store::Event, RegistryError> {
        let kind = match EventType::try_from(event.r#type) {
            Ok(EventType::Put) => store::EventKind::Put,
            Ok(EventType::Delete) => store::EventKind::Delete,
            Err(_) => return Err(RegistryError::NoAnswer),
        };
        Ok(store::Event { kind, entry: self.entry(event.kv.ok_or(RegistryError::NoAnswer)?)? })
    }

    pub(crate) fn range_answer(&self, read: RangeResponse) -> Result<RangeAnswer, RegistryError> {
        let entries = read.kvs.into_iter().map(|entry| self.entry(entry)).collect::<Result<_, _>>()?;
        Ok(RangeAnswer { entries, has_more: read.more })
    }

    /// What a transaction did, each step of its branch at the transaction's revision.
    pub(crate) fn txn_answer(&self, txn: &store::Txn, done: TxnResponse) -> Result<TxnAnswer, RegistryError> {
        let (has_held, revision) = (done.succeeded, revision(done.header));
        let mut responses = done.responses.into_iter();
        let mut step = |operation: &store::TxnOperation| {
            let answer = match operation.step {
                Some(_) => Some(self.step_answer(responses.next())?),
                None => None,
            };
            Ok(Answered { revision, answer })
        };
        let operations = if has_held { &txn.then } else { &txn.otherwise };
        let steps = operations.iter().map(&mut step).collect::<Result<_, RegistryError>>()?;
        Ok(TxnAnswer { has_held, steps })
    }

    fn step_answer(&self, response: Option<ResponseOp>) -> Result<Answer, RegistryError> {
        match response.and_then(|response| response.response).ok_or(RegistryError::NoAnswer)? {
            ResponseStep::Put(put) => Ok(Answer::Put(put.prev_kv.is_some())),
            ResponseStep::DeleteRange(deleted) => Ok(Answer::Deleted(unsigned(deleted.deleted))),
            ResponseStep::Range(read) => Ok(Answer::Range(self.range_answer(read)?)),
        }
    }
}

/// A comparison that never holds: no version is less than 0.
fn never(key: Bytes) -> Compare {
    let (result, target) = (CompareResult::Less.into(), CompareTarget::Version.into());
    Compare { result, target, key, target_union: Some(TargetUnion::Version(0)) }
}

/// The revision that an answer is of.
pub(crate) fn revision(header: Option<ResponseHeader>) -> u64 {
    header.map_or(0, |header| unsigned(header.revision))
}

/// A limit of the caller's, within the registry's own.
pub(crate) fn within(limit: u64) -> u64 {
    let most = RANGE_ENTRIES_MAX as u64;
    if limit == 0 { most } else { limit.min(most) }
}

/// etcd's numbers are signed, and what they count is never negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// What is beyond etcd's numbers is greater than all of them; the greatest one stands for it, which nothing reaches.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A lease's time in seconds: no shorter than was asked for.
pub(crate) fn ttl_s(ttl_ms: u64) -> i64 {
    signed(ttl_ms.div_ceil(1_000))
}

#[cfg(test)]
mod tests;
