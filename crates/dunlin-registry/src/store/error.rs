//! Why a command was not done. The same on every member: it is part of what is replicated.

/// Why a command was not done. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A key is empty.
    #[error("a key is empty")]
    KeyEmpty,
    /// A key is over [`KEY_LEN_MAX`](crate::limits::KEY_LEN_MAX).
    #[error("a key of {key_len} bytes is over the limit of {key_len_max}", key_len_max = crate::limits::KEY_LEN_MAX)]
    KeyTooLong {
        /// Its length.
        key_len: usize,
    },
    /// A value is over [`VALUE_LEN_MAX`](crate::limits::VALUE_LEN_MAX).
    #[error("a value of {value_len} bytes is over the limit of {value_len_max}", value_len_max = crate::limits::VALUE_LEN_MAX)]
    ValueTooLong {
        /// Its length.
        value_len: usize,
    },
    /// The store is full; keys have to be deleted first.
    #[error("the store has {len} bytes and would be over its limit of {len_max}")]
    Full {
        /// Bytes that it has.
        len: usize,
        /// The limit in force.
        len_max: usize,
    },
    /// A transaction has more than [`TXN_OPERATIONS_MAX`](crate::limits::TXN_OPERATIONS_MAX) of something.
    #[error("a transaction of {operations} operations is over the limit of {operations_max}", operations_max = crate::limits::TXN_OPERATIONS_MAX)]
    TxnTooLong {
        /// How many.
        operations: usize,
    },
    /// There is no such lease: it was never granted, was revoked, or has expired.
    #[error("there is no lease {lease:x}")]
    LeaseUnknown {
        /// Which.
        lease: u64,
    },
    /// The lease was kept alive since.
    #[error("lease {lease:x} was kept alive since")]
    LeaseRenewed {
        /// Which.
        lease: u64,
    },
    /// There is such a lease.
    #[error("there is a lease {lease:x} already")]
    LeaseExists {
        /// Which.
        lease: u64,
    },
    /// A lease is shorter or longer than leases are.
    #[error("a lease of {ttl_ms} ms is not within {ttl_ms_min} and {ttl_ms_max}", ttl_ms_min = crate::limits::LEASE_TTL_MS_MIN, ttl_ms_max = crate::limits::LEASE_TTL_MS_MAX)]
    LeaseTtl {
        /// What was asked for.
        ttl_ms: u64,
    },
    /// There are [`LEASES_MAX`](crate::limits::LEASES_MAX) leases.
    #[error("there are as many leases as there may be, {leases_max}", leases_max = crate::limits::LEASES_MAX)]
    TooManyLeases,
    /// The client was silent for so long that its commands are no longer known, so it cannot be told whether this one was
    /// applied before.
    #[error("client {client:x} is no longer known")]
    ClientForgotten {
        /// Which.
        client: u64,
    },
    /// A command's number is not that of its client's last command nor the next one.
    #[error("client {client:x} sends command {sequence} after {last}")]
    SequenceGap {
        /// Which.
        client: u64,
        /// The number of its command.
        sequence: u64,
        /// The number of the last one.
        last: u64,
    },
    /// The command was applied before, and its answer was too long to be kept.
    #[error("the command was applied at revision {revision}, and its answer is gone")]
    AnswerGone {
        /// The revision after it.
        revision: u64,
    },
}
