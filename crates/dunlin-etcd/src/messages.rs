//! As much of etcd's messages as a registry takes, by hand, since its `.proto` files would take a protoc.
//!
//! They are those of `etcdserverpb` and `mvccpb` in the versions 3.4 and later. Fields that are not looked at are left out; what is left out
//! and not understood is skipped, so a newer server is no difficulty. Numbers are etcd's: revisions, versions and ids are signed.

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

/// What every answer begins with.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ResponseHeader {
    /// The revision of the store.
    #[prost(int64, tag = "3")]
    pub revision: i64,
}

/// `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValue {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The revision since which it is there.
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    /// The revision of its last change.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// How often it was put since it is there; 0 of one that is deleted.
    #[prost(int64, tag = "4")]
    pub version: i64,
    /// Its value.
    #[prost(bytes = "bytes", tag = "5")]
    pub value: Bytes,
    /// Its lease; 0 for none.
    #[prost(int64, tag = "6")]
    pub lease: i64,
}

/// Reads keys.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RangeRequest {
    /// The key, or the first one.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Up to which; empty for the key alone, one zero byte for all above.
    #[prost(bytes = "bytes", tag = "2")]
    pub range_end: Bytes,
    /// How many at most; 0 for all.
    #[prost(int64, tag = "3")]
    pub limit: i64,
    /// Whether what the member has will do.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RangeResponse {
    /// What every answer begins with.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The keys, in order.
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<KeyValue>,
    /// Whether there are more than were given.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// Sets a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PutRequest {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// Its lease; 0 for none.
    #[prost(int64, tag = "3")]
    pub lease: i64,
    /// Whether to say what was there before.
    #[prost(bool, tag = "4")]
    pub prev_kv: bool,
}

/// The key is set.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PutResponse {
    /// What every answer begins with.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// What was there before, if that was asked.
    #[prost(message, optional, tag = "2")]
    pub prev_kv: Option<KeyValue>,
}

/// Removes keys.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DeleteRangeRequest {
    /// The key, or the first one.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Up to which, as of [`RangeRequest`].
    #[prost(bytes = "bytes", tag = "2")]
    pub range_end: Bytes,
}

/// The keys are removed.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct DeleteRangeResponse {
    /// What every answer begins with.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// How many there were.
    #[prost(int64, tag = "2")]
    pub deleted: i64,
}

/// Compares, and does one thing or the other.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TxnRequest {
    /// What must hold.
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    /// What is done if it does.
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<RequestOp>,
    /// What is done if it does not.
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<RequestOp>,
}

/// What a transaction did.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TxnResponse {
    /// What every answer begins with.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// Whether all that was compared held.
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
    /// What each operation of that branch gave.
    #[prost(message, repeated, tag = "3")]
    pub responses: Vec<ResponseOp>,
}

/// What must hold of a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Compare {
    /// How what is there stands to what is given.
    #[prost(enumeration = "CompareResult", tag = "1")]
    pub result: i32,
    /// What of the key is compared.
    #[prost(enumeration = "CompareTarget", tag = "2")]
    pub target: i32,
    /// The key.
    #[prost(bytes = "bytes", tag = "3")]
    pub key: Bytes,
    /// With what.
    #[prost(oneof = "TargetUnion", tags = "4, 5, 6, 7, 8")]
    pub target_union: Option<TargetUnion>,
}

/// How what is there stands to what is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum CompareResult {
    /// They are equal.
    Equal = 0,
    /// What is there is greater.
    Greater = 1,
    /// What is there is less.
    Less = 2,
    /// They are not equal.
    NotEqual = 3,
}

/// What of a key is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum CompareTarget {
    /// How often it was put.
    Version = 0,
    /// Since when it is there.
    Create = 1,
    /// When it was put last.
    Mod = 2,
    /// Its value.
    Value = 3,
    /// Its lease.
    Lease = 4,
}

/// With what it is compared.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum TargetUnion {
    /// See [`CompareTarget::Version`].
    #[prost(int64, tag = "4")]
    Version(i64),
    /// See [`CompareTarget::Create`].
    #[prost(int64, tag = "5")]
    CreateRevision(i64),
    /// See [`CompareTarget::Mod`].
    #[prost(int64, tag = "6")]
    ModRevision(i64),
    /// See [`CompareTarget::Value`].
    #[prost(bytes = "bytes", tag = "7")]
    Value(Bytes),
    /// See [`CompareTarget::Lease`].
    #[prost(int64, tag = "8")]
    Lease(i64),
}

/// One operation of a transaction.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RequestOp {
    /// Which.
    #[prost(oneof = "RequestStep", tags = "1, 2, 3")]
    pub request: Option<RequestStep>,
}

/// See [`RequestOp`].
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum RequestStep {
    /// Reads keys.
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    /// Sets a key.
    #[prost(message, tag = "2")]
    Put(PutRequest),
    /// Removes keys.
    #[prost(message, tag = "3")]
    DeleteRange(DeleteRangeRequest),
}

/// What one operation of a transaction gave.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ResponseOp {
    /// Of which kind.
    #[prost(oneof = "ResponseStep", tags = "1, 2, 3")]
    pub response: Option<ResponseStep>,
}

/// See [`ResponseOp`].
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum ResponseStep {
    /// What was read.
    #[prost(message, tag = "1")]
    Range(RangeResponse),
    /// The key is set.
    #[prost(message, tag = "2")]
    Put(PutResponse),
    /// The keys are removed.
    #[prost(message, tag = "3")]
    DeleteRange(DeleteRangeResponse),
}

/// Grants a lease.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LeaseGrantRequest {
    /// How long it lives without being kept alive, in seconds.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
    /// Its id; 0 to be given one.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// A lease, as it was granted or kept alive.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LeaseResponse {
    /// What every answer begins with.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// Its id.
    #[prost(int64, tag = "2")]
    pub id: i64,
    /// How long it lives from now on, in seconds; 0 of one that there is not.
    #[prost(int64, tag = "3")]
    pub ttl: i64,
}

/// Which lease is to be kept alive, or to end.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LeaseRequest {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// An answer that says nothing but how far the store is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct HeaderResponse {
    /// What every answer begins with.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
}

/// Begins a watch, on a stream where nothing else follows.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchRequest {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub create_request: Option<WatchCreateRequest>,
}

/// What is to be watched.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchCreateRequest {
    /// The key, or the first one.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Up to which, as of [`RangeRequest`].
    #[prost(bytes = "bytes", tag = "2")]
    pub range_end: Bytes,
    /// From which revision on; 0 for what comes.
    #[prost(int64, tag = "3")]
    pub start_revision: i64,
    /// Whether to say from time to time how far the store is, though there are no events.
    #[prost(bool, tag = "4")]
    pub progress_notify: bool,
    /// Whether events that are too long for one message may come in several.
    #[prost(bool, tag = "8")]
    pub fragment: bool,
}

/// Some events, in order, or what became of the watch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WatchResponse {
    /// What every answer begins with.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// Whether it says that the watch has begun.
    #[prost(bool, tag = "3")]
    pub created: bool,
    /// Whether it has ended.
    #[prost(bool, tag = "4")]
    pub canceled: bool,
    /// From which revision on there are events, if it ended because it asked for older ones.
    #[prost(int64, tag = "5")]
    pub compact_revision: i64,
    /// Why it has ended.
    #[prost(string, tag = "6")]
    pub cancel_reason: String,
    /// Whether more of the same comes in the next message.
    #[prost(bool, tag = "7")]
    pub fragment: bool,
    /// The events.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
}

/// `mvccpb.Event`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Event {
    /// What happened.
    #[prost(enumeration = "EventType", tag = "1")]
    pub r#type: i32,
    /// The key as it is then.
    #[prost(message, optional, tag = "2")]
    pub kv: Option<KeyValue>,
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum EventType {
    /// It was put.
    Put = 0,
    /// It was deleted, by a command or with its lease.
    Delete = 1,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct AuthenticateRequest {
    /// The name of a user.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its password.
    #[prost(string, tag = "2")]
    pub password: String,
}

impl std::fmt::Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticateRequest").field("name", &self.name).finish_non_exhaustive()
    }
}

/// By what it is known from now on.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct AuthenticateResponse {
    /// What later requests say.
    #[prost(string, tag = "2")]
    pub token: String,
}

impl std::fmt::Debug for AuthenticateResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticateResponse").finish_non_exhaustive()
    }
}

/// How does the member do?
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StatusRequest {}

/// How a member does.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatusResponse {
    /// Bytes of its store on the disk.
    #[prost(int64, tag = "3")]
    pub db_size: i64,
    /// The most that it may have; 0 of servers before 3.6, which do not say.
    #[prost(int64, tag = "12")]
    pub db_size_quota: i64,
}
