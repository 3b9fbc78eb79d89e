//! What became of a request that was answered by a status: whether it was done, and what that is called here.
//!
//! etcd's errors over gRPC are a code and a sentence; several share a code, and its own clients tell them apart by the sentence, which thus is
//! part of its protocol. They are all here, and nowhere else is a text looked at.

use std::error::Error as _;

use dunlin_registry::RegistryError;
use dunlin_registry::store::StoreError;
use tonic::{Code, ConnectError, Status};

use crate::limits::REQUEST_LEN_MAX;

/// Said by who has no leader, before anything is done.
pub(crate) const NO_LEADER: &str = "etcdserver: no leader";

/// Said to who is no longer known.
pub(crate) const INVALID_TOKEN: &str = "etcdserver: invalid auth token";
const OLD_TOKEN: &str = "etcdserver: revision of auth store is old";

const TOO_MANY_REQUESTS: &str = "etcdserver: too many requests";
const TOO_LARGE: &str = "etcdserver: request is too large";
const TOO_MANY_OPERATIONS: &str = "etcdserver: too many operations in txn request";
const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const LEASE_UNKNOWN: &str = "etcdserver: requested lease not found";
const LEASE_EXISTS: &str = "etcdserver: lease already exists";

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing came of it: another member, or the same one later, may do it.
    NotDone(RegistryError),
    /// Nothing came of it, since we have to say again who we are.
    Stranger,
    /// Whether it was done is not known.
    Unknown,
    /// It is refused, as it would be by others.
    Refused(RegistryError),
}

/// What a request was, as far as a refusal says it again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// Its lease.
    pub(crate) lease: u64,
    /// Operations of its longest branch.
    pub(crate) operations: usize,
    /// Its bytes.
    pub(crate) len: usize,
}

/// What became of a request that was answered so.
pub(crate) fn fate(status: &Status, asked: Asked) -> Fate {
    let Asked { lease, operations, len } = asked;
    let too_large = || Fate::Refused(RegistryError::TooLarge { len, len_max: REQUEST_LEN_MAX });
    let refused = |error: StoreError| Fate::Refused(error.into());
    match (status.code(), status.message()) {
        (_, NO_LEADER) => Fate::NotDone(RegistryError::NoLeader),
        (_, TOO_MANY_REQUESTS) => Fate::NotDone(RegistryError::Overloaded),
        (_, INVALID_TOKEN | OLD_TOKEN) => Fate::Stranger,
        (_, LEASE_UNKNOWN) => refused(StoreError::LeaseUnknown { lease }),
        (_, LEASE_EXISTS) => refused(StoreError::LeaseExists { lease }),
        (_, TOO_MANY_OPERATIONS) => refused(StoreError::TxnTooLong { operations }),
        // How full it is, it does not say.
        (_, NO_SPACE) => refused(StoreError::Full { len: 0, len_max: 0 }),
        // Of the sentence of gRPC's own limit there are several versions.
        (_, TOO_LARGE) | (Code::ResourceExhausted, _) => too_large(),
        // The member did what it was asked, and its answer was longer than we take.
        (Code::OutOfRange, _) => Fate::Refused(RegistryError::NoAnswer),
        _ if is_never_sent(status) => Fate::NotDone(RegistryError::NoLeader),
        (
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Aborted
            | Code::Internal
            | Code::DataLoss
            | Code::Ok,
            _,
        ) => Fate::Unknown,
        (
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Unauthenticated,
            reason,
        ) => Fate::Refused(RegistryError::Refused { reason: reason.to_owned() }),
    }
}

/// Whether there was not even a connection.
fn is_never_sent(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_was_not_done_is_said_not_to_be() {
        let fate = |code, text: &str| fate(&Status::new(code, text), Asked::default());
        assert_eq!(fate(Code::Unavailable, NO_LEADER), Fate::NotDone(RegistryError::NoLeader));
        assert_eq!(
            fate(Code::ResourceExhausted, TOO_MANY_REQUESTS),
            Fate::NotDone(RegistryError::Overloaded)
        );
        for text in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: leader changed",
            "etcdserver: server stopped",
            "transport is closing",
        ] {
            assert_eq!(fate(Code::Unavailable, text), Fate::Unknown, "{text}");
        }
        assert_eq!(fate(Code::Unknown, "h2 protocol error"), Fate::Unknown);
        assert_eq!(fate(Code::Cancelled, "operation was canceled"), Fate::Unknown);
        let refused = ConnectError("connection refused".into());
        assert_eq!(
            super::fate(&Status::from_error(Box::new(refused)), Asked::default()),
            Fate::NotDone(RegistryError::NoLeader)
        );
    }

    #[test]
    fn a_refusal_says_what_was_asked() {
        let asked = Asked { lease: 7, operations: 129, len: 2_000_000 };
        let refused = |code, text: &str| match fate(&Status::new(code, text), asked) {
            Fate::Refused(error) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(Code::NotFound, LEASE_UNKNOWN), StoreError::LeaseUnknown { lease: 7 }.into());
        assert_eq!(
            refused(Code::FailedPrecondition, LEASE_EXISTS),
            StoreError::LeaseExists { lease: 7 }.into()
        );
        let too_large = RegistryError::TooLarge { len: 2_000_000, len_max: REQUEST_LEN_MAX };
        assert_eq!(refused(Code::InvalidArgument, TOO_LARGE), too_large);
        let grpc = "grpc: received message larger than max (2000013 vs. 1572864)";
        assert_eq!(refused(Code::ResourceExhausted, grpc), too_large);
        let reason = "etcdserver: duplicate key given in txn request".to_owned();
        assert_eq!(refused(Code::InvalidArgument, &reason), RegistryError::Refused { reason });
    }
}
