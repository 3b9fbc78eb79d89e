//! Leases and the keys that go with them. When one is over is not known here: see `lease_clock.rs`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::StoreError;
use super::command::{LeaseGrant, LeaseRevoke};
use crate::limits::LEASES_MAX;

/// The leases there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    leases: BTreeMap<u64, Lease>,
}

#[derive(Debug, Clone)]
struct Lease {
    ttl_ms: u64,
    renewed_at: u64,
    keys: BTreeSet<Bytes>,
}

/// A lease as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseLook {
    /// Its id.
    pub lease: u64,
    /// How long it lives without being kept alive, in milliseconds.
    pub ttl_ms: u64,
    /// The index of the entry by which it was granted or kept alive last.
    pub renewed_at: u64,
}

impl Lease {
    const fn look(&self, lease: u64) -> LeaseLook {
        LeaseLook { lease, ttl_ms: self.ttl_ms, renewed_at: self.renewed_at }
    }
}

impl Leases {
    /// Grants a lease. One without an id gets the index of its entry, or what comes after it and is free.
    pub(super) fn grant(&mut self, index: u64, grant: LeaseGrant) -> Result<u64, StoreError> {
        let LeaseGrant { lease, ttl_ms } = grant;
        let lease = if lease == 0 { self.free_id(index) } else { lease };
        if self.leases.contains_key(&lease) {
            return Err(StoreError::LeaseExists { lease });
        }
        if self.leases.len() >= LEASES_MAX {
            return Err(StoreError::TooManyLeases);
        }
        self.restore(LeaseLook { lease, ttl_ms, renewed_at: index });
        Ok(lease)
    }

    fn free_id(&self, index: u64) -> u64 {
        (index..).find(|id| !self.leases.contains_key(id)).unwrap_or(index)
    }

    pub(super) fn restore(&mut self, look: LeaseLook) {
        let LeaseLook { lease, ttl_ms, renewed_at } = look;
        self.leases.insert(lease, Lease { ttl_ms, renewed_at, keys: BTreeSet::new() });
    }

    /// Notes that a lease was kept alive by this entry.
    pub(super) fn keep_alive(&mut self, index: u64, lease: u64) -> Result<(), StoreError> {
        let known = self.leases.get_mut(&lease).ok_or(StoreError::LeaseUnknown { lease })?;
        known.renewed_at = index;
        Ok(())
    }

    /// Ends a lease, and gives its keys.
    pub(super) fn revoke(&mut self, revoke: LeaseRevoke) -> Result<BTreeSet<Bytes>, StoreError> {
        let LeaseRevoke { lease, if_renewed_at } = revoke;
        let known = self.leases.get(&lease).ok_or(StoreError::LeaseUnknown { lease })?;
        if if_renewed_at.is_some_and(|index| index != known.renewed_at) {
            return Err(StoreError::LeaseRenewed { lease });
        }
        Ok(self.leases.remove(&lease).map(|lease| lease.keys).unwrap_or_default())
    }

    pub(super) fn is_known(&self, lease: u64) -> bool {
        self.leases.contains_key(&lease)
    }

    pub(super) fn attach(&mut self, lease: u64, key: &Bytes) {
        if let Some(lease) = self.leases.get_mut(&lease) {
            lease.keys.insert(key.clone());
        }
    }

    pub(super) fn detach(&mut self, lease: u64, key: &Bytes) {
        if let Some(lease) = self.leases.get_mut(&lease) {
            lease.keys.remove(key);
        }
    }

    pub(super) fn keys(&self, lease: u64) -> impl Iterator<Item = &Bytes> {
        self.leases.get(&lease).into_iter().flat_map(|lease| &lease.keys)
    }

    pub(super) fn look(&self, lease: u64) -> Option<LeaseLook> {
        self.leases.get(&lease).map(|known| known.look(lease))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = LeaseLook> + '_ {
        self.leases.iter().map(|(lease, known)| known.look(*lease))
    }
}
