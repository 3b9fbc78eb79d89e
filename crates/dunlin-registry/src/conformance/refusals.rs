//! Claims about what is refused: how, and that nothing came of it.

use std::time::Duration;

use super::place::Place;
use super::violation::{Violation, refused};
use crate::limits::{KEY_LEN_MAX, LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, TXN_OPERATIONS_MAX, VALUE_LEN_MAX};
use crate::registry::RegistryExt as _;
use crate::store::{LeaseGrant, Operation, Put, StoreError, Txn, TxnStep};

/// A lease that nobody was granted.
const NOBODYS_LEASE: u64 = 0x1234_5678_9abc;

pub(super) async fn sizes(place: &Place) -> Result<(), Violation> {
    let long_key = vec![b'k'; KEY_LEN_MAX + 1];
    let (key_len, value_len) = (KEY_LEN_MAX + 1, VALUE_LEN_MAX + 1);
    let bad = [
        (Put::default(), StoreError::KeyEmpty),
        (Put { key: long_key.into(), ..Put::default() }, StoreError::KeyTooLong { key_len }),
        (
            Put { key: place.key("key"), value: vec![0; value_len].into(), lease: 0 },
            StoreError::ValueTooLong { value_len },
        ),
    ];
    for (put, error) in bad {
        let alone = place.one.execute(Operation::Put(put.clone())).await;
        refused("a put beyond a limit", alone, error.clone())?;
        let txn = Txn { then: vec![place.put_step("fine", "x"), TxnStep::Put(put).into()], ..Txn::default() };
        refused("a transaction with a put beyond a limit", place.one.txn(txn.clone()).await, error.clone())?;
        let other_branch =
            Txn { otherwise: txn.then, then: vec![place.put_step("fine", "x")], ..Txn::default() };
        refused("a transaction whose other branch has one", place.one.txn(other_branch).await, error)?;
    }
    place.must_have("keys after refusals", &[]).await
}

pub(super) async fn unknown_lease(place: &Place) -> Result<(), Violation> {
    let unknown = StoreError::LeaseUnknown { lease: NOBODYS_LEASE };
    let put = place.put_of("key", "value", NOBODYS_LEASE);
    refused(
        "a put under an unknown lease",
        place.one.execute(Operation::Put(put.clone())).await,
        unknown.clone(),
    )?;
    let txn = Txn { then: vec![place.put_step("fine", "x"), TxnStep::Put(put).into()], ..Txn::default() };
    refused("a transaction with one", place.one.txn(txn).await, unknown.clone())?;
    refused("keeping an unknown lease alive", place.one.keep_alive(NOBODYS_LEASE).await, unknown.clone())?;
    refused("ending an unknown lease", place.one.revoke_lease(NOBODYS_LEASE).await, unknown)?;
    let over = place.lease(Duration::from_secs(10)).await?;
    let first = place.one.revoke_lease(over).await;
    super::violation::same("ending a lease", first, Ok(()))?;
    let unknown = StoreError::LeaseUnknown { lease: over };
    refused("ending it again", place.one.revoke_lease(over).await, unknown)?;
    place.must_have("keys after refusals", &[]).await
}

pub(super) async fn too_many(place: &Place) -> Result<(), Violation> {
    let puts = |count: usize| (0..count).map(|n| place.put_step(&format!("{n:03}"), "x")).collect();
    let operations = TXN_OPERATIONS_MAX + 1;
    let long = Txn { then: puts(operations), ..Txn::default() };
    let error = StoreError::TxnTooLong { operations };
    refused("a transaction of too many operations", place.one.txn(long).await, error)?;
    place.must_have("keys after it", &[]).await?;
    let most = Txn { then: puts(TXN_OPERATIONS_MAX), otherwise: puts(TXN_OPERATIONS_MAX), ..Txn::default() };
    let done = place.one.txn(most).await.map(|answer| answer.steps.len());
    super::violation::same("steps of the longest transaction", done, Ok(TXN_OPERATIONS_MAX))
}

pub(super) async fn lease_time(place: &Place) -> Result<(), Violation> {
    for ttl_ms in [0, LEASE_TTL_MS_MIN - 1, LEASE_TTL_MS_MAX + 1, u64::MAX] {
        let grant = LeaseGrant { lease: 0, ttl_ms };
        let granted = place.one.execute(Operation::LeaseGrant(grant)).await;
        refused("a lease beyond the limits", granted, StoreError::LeaseTtl { ttl_ms })?;
    }
    Ok(())
}
