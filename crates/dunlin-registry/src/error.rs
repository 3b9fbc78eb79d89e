//! Why a request to the registry failed, by what its caller can do about it.

use crate::driver::ChangeError;
use crate::store::{Compacted, MemberError, StoreError};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nobody led for as long as the request had time. Nothing came of a read; a command may still be done by a leader to come.
    #[error("no leader is known")]
    NoLeader,
    /// The request's time is over. What came of a command is not known: sent again with the same number it is done once.
    #[error("the request took too long, and what came of it is not known")]
    TimedOut,
    /// Too much waits on this member. Nothing came of it; later it may do.
    #[error("this member has too much to do")]
    Overloaded,
    /// A command is longer than entries of the log are.
    #[error("a command of {len} bytes is over the limit of {len_max}")]
    TooLarge {
        /// Its length.
        len: usize,
        /// The limit in force.
        len_max: usize,
    },
    /// The store refuses it, on every member alike.
    #[error("the store refuses the command")]
    Store(#[from] StoreError),
    /// The change of members is refused by what is known of them.
    #[error("the change of members is refused")]
    Member(#[from] MemberError),
    /// The change of members is not safe.
    #[error("the change of members is not safe now")]
    Change(#[from] ChangeError),
    /// Events of a watch are no longer kept.
    #[error("the watch is too far behind")]
    Compacted(#[from] Compacted),
    /// Whoever was asked from afar refuses it, and so would others.
    #[error("the request is refused: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// Whoever was asked from afar answered with what is no answer.
    #[error("what came is no answer")]
    NoAnswer,
    /// This member has stopped.
    #[error("this member has stopped")]
    Stopped,
}

impl RegistryError {
    /// Whether the same request may succeed a moment later. A command wants its number again: it may have been done.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NoLeader
                | Self::TimedOut
                | Self::Overloaded
                | Self::Change(ChangeError::OneAtATime | ChangeError::Overloaded)
        )
    }
}

/// An error with what is behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
