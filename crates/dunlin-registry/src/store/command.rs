//! What is written into the log, and what comes of it. Encoded by `prost`, since both live in entries, snapshots and gRPC.

use bytes::Bytes;
use prost::Message;

use super::StoreError;
use crate::limits::ENTRY_OVERHEAD;

/// One entry of the log that is the application's.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Command {
    /// Who asks; 0 for somebody who does not mind when the same is applied twice.
    #[prost(uint64, tag = "1")]
    pub client: u64,
    /// The number of this command among those of its client, from 1 on without a gap. A retry has the number of the first try.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// What to do. None is nothing.
    #[prost(oneof = "Operation", tags = "3, 4, 5, 6, 7, 8")]
    pub operation: Option<Operation>,
    /// By what the member that proposed it knows it again. The store does not look at it.
    #[prost(fixed64, tag = "9")]
    pub request: u64,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Operation {
    /// Sets a key.
    #[prost(message, tag = "3")]
    Put(Put),
    /// Removes keys.
    #[prost(message, tag = "4")]
    Delete(KeyRange),
    /// Does one of two things by what is there.
    #[prost(message, tag = "5")]
    Txn(Txn),
    /// Grants a lease.
    #[prost(message, tag = "6")]
    LeaseGrant(LeaseGrant),
    /// Ends a lease, and removes the keys that were put under it.
    #[prost(message, tag = "7")]
    LeaseRevoke(LeaseRevoke),
    /// Lets a lease live for its time from now on.
    #[prost(uint64, tag = "8")]
    LeaseKeepAlive(u64),
}

/// Sets a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Put {
    /// The key; not empty.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// The lease that it lives as long as; 0 for none.
    #[prost(uint64, tag = "3")]
    pub lease: u64,
}

/// A key, or all keys from one up to another.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyRange {
    /// The key, or the first one.
    #[prost(bytes = "bytes", tag = "1")]
    pub start: Bytes,
    /// None: `start` alone. Else up to this one, without it; an empty one is above all.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// One key.
    #[must_use]
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { start: key.into(), end: None }
    }

    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Bytes::new(), end: Some(Bytes::new()) }
    }

    /// From one key up to another one, without it.
    #[must_use]
    pub fn between(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { start: start.into(), end: Some(end.into()) }
    }

    /// All keys that begin so.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let mut end = start.to_vec();
        // The next key that does not begin so: the last byte that can grow does; there is none above bytes of 255 alone.
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                break;
            }
        }
        Self { start, end: Some(end.into()) }
    }

    /// Whether a key is in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            None => key == self.start,
            Some(end) => key >= &self.start[..] && (end.is_empty() || key < &end[..]),
        }
    }
}

/// Compares, then does one list of operations or the other, all at one revision.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Txn {
    /// What must hold, all of it.
    #[prost(message, repeated, tag = "1")]
    pub compares: Vec<Compare>,
    /// What is done if it does.
    #[prost(message, repeated, tag = "2")]
    pub then: Vec<TxnOperation>,
    /// What is done if it does not.
    #[prost(message, repeated, tag = "3")]
    pub otherwise: Vec<TxnOperation>,
}

/// What must hold of a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Compare {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// A [`Relation`]; an unknown one never holds.
    #[prost(enumeration = "Relation", tag = "2")]
    pub relation: i32,
    /// What of the key is compared, and with what. None never holds.
    #[prost(oneof = "Compared", tags = "3, 4, 5, 6, 7")]
    pub compared: Option<Compared>,
}

/// How what is there stands to what is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Relation {
    /// They are equal.
    Equal = 0,
    /// They are not.
    NotEqual = 1,
    /// What is there is greater.
    Greater = 2,
    /// What is there is less.
    Less = 3,
}

/// What of a key is compared. Of a key that is not there every number is 0, and no value holds.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Compared {
    /// How often it was put since it is there.
    #[prost(uint64, tag = "3")]
    Version(u64),
    /// The revision since which it is there.
    #[prost(uint64, tag = "4")]
    CreateRevision(u64),
    /// The revision of its last put.
    #[prost(uint64, tag = "5")]
    ModRevision(u64),
    /// Its value.
    #[prost(bytes = "bytes", tag = "6")]
    Value(Bytes),
    /// Its lease.
    #[prost(uint64, tag = "7")]
    Lease(u64),
}

/// One operation of a transaction.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TxnOperation {
    /// Which. None is nothing.
    #[prost(oneof = "TxnStep", tags = "1, 2, 3")]
    pub step: Option<TxnStep>,
}

/// See [`TxnOperation`].
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum TxnStep {
    /// Sets a key.
    #[prost(message, tag = "1")]
    Put(Put),
    /// Removes keys.
    #[prost(message, tag = "2")]
    Delete(KeyRange),
    /// Reads keys.
    #[prost(message, tag = "3")]
    Get(Get),
}

impl From<TxnStep> for TxnOperation {
    fn from(step: TxnStep) -> Self {
        Self { step: Some(step) }
    }
}

/// Reads keys.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Get {
    /// Which.
    #[prost(message, required, tag = "1")]
    pub range: KeyRange,
    /// How many at most; 0 for as many as there may be.
    #[prost(uint64, tag = "2")]
    pub limit: u64,
}

/// Grants a lease.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LeaseGrant {
    /// Its id; 0 to be given one.
    #[prost(uint64, tag = "1")]
    pub lease: u64,
    /// How long it lives without being kept alive, in milliseconds.
    #[prost(uint64, tag = "2")]
    pub ttl_ms: u64,
}

/// Ends a lease.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LeaseRevoke {
    /// Which.
    #[prost(uint64, tag = "1")]
    pub lease: u64,
    /// Only if it was granted or kept alive last by this entry: what has been kept alive meanwhile has not expired.
    #[prost(uint64, optional, tag = "2")]
    pub if_renewed_at: Option<u64>,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValue {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// The revision since which it is there.
    #[prost(uint64, tag = "3")]
    pub create_revision: u64,
    /// The revision of its last put.
    #[prost(uint64, tag = "4")]
    pub mod_revision: u64,
    /// How often it was put since it is there.
    #[prost(uint64, tag = "5")]
    pub version: u64,
    /// The lease that it lives as long as; 0 for none.
    #[prost(uint64, tag = "6")]
    pub lease: u64,
}

impl KeyValue {
    /// Bytes of its key and value, with what a key takes besides.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.key.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

/// What a range gave.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RangeAnswer {
    /// The keys, in order.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<KeyValue>,
    /// Whether there are more than were given.
    #[prost(bool, tag = "2")]
    pub has_more: bool,
}

/// What came of a command.
pub type Outcome = Result<Answered, StoreError>;

/// What came of a command that was done.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Answered {
    /// The revision of the store after it.
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    /// What its operation gave. None of nothing.
    #[prost(oneof = "Answer", tags = "2, 3, 4, 5, 6")]
    pub answer: Option<Answer>,
}

/// What an operation gave.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Answer {
    /// The key is set; whether it was there before.
    #[prost(bool, tag = "2")]
    Put(bool),
    /// So many keys were removed.
    #[prost(uint64, tag = "3")]
    Deleted(u64),
    /// What a transaction did.
    #[prost(message, tag = "4")]
    Txn(TxnAnswer),
    /// The lease that was granted, or ended.
    #[prost(uint64, tag = "5")]
    Lease(u64),
    /// What was read. In transactions.
    #[prost(message, tag = "6")]
    Range(RangeAnswer),
}

/// What a transaction did.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TxnAnswer {
    /// Whether all that was compared held.
    #[prost(bool, tag = "1")]
    pub has_held: bool,
    /// What each operation of that branch gave.
    #[prost(message, repeated, tag = "2")]
    pub steps: Vec<Answered>,
}
