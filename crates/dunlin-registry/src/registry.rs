//! What a registry is to programs, wherever its keys are: a trait with three methods, and the rest made of them.
//!
//! [`LocalRegistry`](crate::LocalRegistry) is a member's own, [`RemoteRegistry`](crate::grpc::RemoteRegistry) asks members from afar,
//! [`MemoryRegistry`](crate::MemoryRegistry) is one process alone, for tests and for servers of one node.
//!
//! Invariants, of every implementation: a command is done at most once however often it has to be sent, and wholly or not at all;
//! a linearizable read sees all that was answered before it began; a watch gives every event, in order and once, or says that it cannot.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::RegistryError;
use crate::store::{
    Answer, Answered, KeyRange, KeyValue, LeaseGrant, LeaseRevoke, Operation, Put, RangeAnswer, Txn,
    TxnAnswer,
};
use crate::watch::Watch;

/// How fresh what is read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// Everything that was answered anywhere before the read began. It takes a round to a quorum, which reads share.
    #[default]
    Linearizable,
    /// What whoever is asked has, which may be old. It takes nothing, and works without a leader.
    Stale,
}

/// A registry: keys with values, leases, transactions, watches. What programs call is in [`RegistryExt`].
///
/// Every request has a time after which it is given up, which the implementation is made with. A command whose outcome is not known
/// then may be done all the same, once.
///
/// What every implementation must do is claimed in the module `conformance`, with the feature of that name, and one function makes all
/// claims about any of them. What it leaves open, programs must not count on:
///
/// - Each change has a revision above 0 and above those before it. Where they begin, and by how much they grow, is open; others who share the
///   store make them grow too.
/// - A lease lives for its time, and perhaps for a few seconds more. An id of the caller's own for it is from 1 on and below 2^63.
/// - A transaction that puts a key twice, or puts one that it also deletes, may be refused.
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// Does something, once however often it has to be sent.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the command to its fate: it may be done.
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>>;

    /// The keys of a range, `limit` at most (0 for no limit), and the revision that they are of.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the read.
    fn range(
        &self,
        range: KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>>;

    /// The events of these keys from a revision on. When this returns, the watch has begun. From 0 it begins with what whoever is asked has
    /// not heard of yet, which may have been answered a moment before: who wants nothing twice reads the keys first, and watches from the
    /// revision after that of the read.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the watch.
    fn watch(&self, range: KeyRange, from_revision: u64) -> BoxFuture<'_, Result<Watch, RegistryError>>;
}

impl<R: Registry + ?Sized> Registry for Arc<R> {
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>> {
        (**self).execute(operation)
    }

    fn range(
        &self,
        range: KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>> {
        (**self).range(range, limit, consistency)
    }

    fn watch(&self, range: KeyRange, from_revision: u64) -> BoxFuture<'_, Result<Watch, RegistryError>> {
        (**self).watch(range, from_revision)
    }
}

/// What programs ask of a [`Registry`].
pub trait RegistryExt: Registry {
    /// Sets a key, under a lease unless that is 0. The revision after it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the command to its fate: it may be done.
    fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        lease: u64,
    ) -> impl Future<Output = Result<u64, RegistryError>> + Send {
        let put = Put { key: key.into(), value: value.into(), lease };
        async move { Ok(self.execute(Operation::Put(put)).await?.revision) }
    }

    /// Removes keys. How many there were.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    fn delete(&self, range: KeyRange) -> impl Future<Output = Result<u64, RegistryError>> + Send {
        async move {
            match self.execute(Operation::Delete(range)).await?.answer {
                Some(Answer::Deleted(count)) => Ok(count),
                _ => Ok(0),
            }
        }
    }

    /// Compares, and does one thing or the other.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    fn txn(&self, txn: Txn) -> impl Future<Output = Result<TxnAnswer, RegistryError>> + Send {
        async move {
            match self.execute(Operation::Txn(txn)).await?.answer {
                Some(Answer::Txn(answer)) => Ok(answer),
                _ => Ok(TxnAnswer::default()),
            }
        }
    }

    /// Grants a lease of this time. Its id.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put): a lease that nobody knows of is over after its time.
    fn grant_lease(&self, ttl: Duration) -> impl Future<Output = Result<u64, RegistryError>> + Send {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        async move {
            match self.execute(Operation::LeaseGrant(LeaseGrant { lease: 0, ttl_ms })).await?.answer {
                Some(Answer::Lease(lease)) => Ok(lease),
                _ => Ok(0),
            }
        }
    }

    /// Lets a lease live for its time from now on.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; that it is unknown when it was over already.
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    fn keep_alive(&self, lease: u64) -> impl Future<Output = Result<(), RegistryError>> + Send {
        async move { self.execute(Operation::LeaseKeepAlive(lease)).await.map(drop) }
    }

    /// Ends a lease, and removes its keys.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`put`](Self::put).
    fn revoke_lease(&self, lease: u64) -> impl Future<Output = Result<(), RegistryError>> + Send {
        let revoke = LeaseRevoke { lease, if_renewed_at: None };
        async move { self.execute(Operation::LeaseRevoke(revoke)).await.map(drop) }
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the read.
    fn get(
        &self,
        key: impl Into<Bytes>,
        consistency: Consistency,
    ) -> impl Future<Output = Result<Option<KeyValue>, RegistryError>> + Send {
        let range = KeyRange::key(key);
        async move {
            let (answer, _) = self.range(range, 1, consistency).await?;
            Ok(answer.entries.into_iter().next())
        }
    }
}

impl<R: Registry + ?Sized> RegistryExt for R {}
