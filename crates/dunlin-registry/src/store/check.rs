//! What a command must be whatever there is in the store: the part of its judgement that looks at the command alone.
//!
//! Every registry refuses the same by this, also one that keeps its keys elsewhere.

use super::StoreError;
use super::command::{LeaseGrant, Operation, Put, Txn, TxnOperation, TxnStep};
use crate::limits::{KEY_LEN_MAX, LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, TXN_OPERATIONS_MAX, VALUE_LEN_MAX};

impl Operation {
    /// Whether it is within the limits of keys, values, transactions and leases. Of a transaction both branches have to be.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the first limit that it is beyond.
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Put(put) => check_put(put),
            Self::Txn(txn) => check_txn(txn),
            Self::LeaseGrant(LeaseGrant { ttl_ms, .. }) => {
                let is_within = (LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(ttl_ms);
                if is_within { Ok(()) } else { Err(StoreError::LeaseTtl { ttl_ms: *ttl_ms }) }
            }
            Self::Delete(_) | Self::LeaseRevoke(_) | Self::LeaseKeepAlive(_) => Ok(()),
        }
    }
}

fn check_put(put: &Put) -> Result<(), StoreError> {
    let (key_len, value_len) = (put.key.len(), put.value.len());
    if key_len == 0 {
        return Err(StoreError::KeyEmpty);
    }
    if key_len > KEY_LEN_MAX {
        return Err(StoreError::KeyTooLong { key_len });
    }
    if value_len > VALUE_LEN_MAX {
        return Err(StoreError::ValueTooLong { value_len });
    }
    Ok(())
}

fn check_txn(txn: &Txn) -> Result<(), StoreError> {
    for operations in [txn.compares.len(), txn.then.len(), txn.otherwise.len()] {
        if operations > TXN_OPERATIONS_MAX {
            return Err(StoreError::TxnTooLong { operations });
        }
    }
    // Whoever keeps its keys elsewhere cannot tell which branch it will be.
    let put = |operation: &TxnOperation| match &operation.step {
        Some(TxnStep::Put(put)) => check_put(put),
        Some(TxnStep::Delete(_) | TxnStep::Get(_)) | None => Ok(()),
    };
    txn.then.iter().chain(&txn.otherwise).try_for_each(put)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key_len: usize, value_len: usize) -> Put {
        Put { key: vec![b'k'; key_len].into(), value: vec![b'v'; value_len].into(), lease: 0 }
    }

    #[test]
    fn a_put_that_no_store_would_take_is_refused_in_whichever_branch_it_is() {
        let whole = put(KEY_LEN_MAX, VALUE_LEN_MAX);
        assert_eq!(Operation::Put(whole.clone()).check(), Ok(()));
        let bad = [put(0, 0), put(KEY_LEN_MAX + 1, 0), put(1, VALUE_LEN_MAX + 1)];
        for bad in bad {
            let alone = Operation::Put(bad.clone()).check().unwrap_err();
            let (good, bad) = (vec![TxnStep::Put(whole.clone()).into()], vec![TxnStep::Put(bad).into()]);
            let then = Txn { then: bad.clone(), otherwise: good.clone(), ..Txn::default() };
            let otherwise = Txn { then: good, otherwise: bad, ..Txn::default() };
            assert_eq!(Operation::Txn(then).check(), Err(alone.clone()));
            assert_eq!(Operation::Txn(otherwise).check(), Err(alone));
        }
    }

    #[test]
    fn leases_and_transactions_have_their_limits_at_both_ends() {
        let grant = |ttl_ms| Operation::LeaseGrant(LeaseGrant { lease: 0, ttl_ms }).check();
        assert_eq!((grant(LEASE_TTL_MS_MIN), grant(LEASE_TTL_MS_MAX)), (Ok(()), Ok(())));
        for ttl_ms in [0, LEASE_TTL_MS_MIN - 1, LEASE_TTL_MS_MAX + 1] {
            assert_eq!(grant(ttl_ms), Err(StoreError::LeaseTtl { ttl_ms }));
        }
        let of = |operations| {
            Operation::Txn(Txn { then: vec![TxnStep::Put(put(1, 1)).into(); operations], ..Txn::default() })
        };
        assert_eq!(of(TXN_OPERATIONS_MAX).check(), Ok(()));
        let operations = TXN_OPERATIONS_MAX + 1;
        assert_eq!(of(operations).check(), Err(StoreError::TxnTooLong { operations }));
    }
}
