//! Why a claim does not hold.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::RegistryError;

/// How long something may take that is to happen soon.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// Why a claim does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A request failed that must not.
    #[error("{what} fails")]
    Fails {
        /// Which.
        what: &'static str,
        /// How.
        source: RegistryError,
    },
    /// Something is otherwise than it must be.
    #[error("{what}: {seen}, and must be {expected}")]
    Differs {
        /// What.
        what: &'static str,
        /// What was seen.
        seen: String,
        /// What must be.
        expected: String,
    },
    /// Something does not hold.
    #[error("it does not hold that {what}")]
    DoesNotHold {
        /// What.
        what: &'static str,
    },
    /// Something does not happen, or not soon.
    #[error("{what} does not come")]
    TooLate {
        /// What.
        what: &'static str,
    },
    /// The claim did not come to an end within [`CLAIM_TIMEOUT`](super::CLAIM_TIMEOUT).
    #[error("it comes to no end")]
    Endless,
}

/// That what was seen is what must be.
pub(super) fn same<T: PartialEq + Debug>(what: &'static str, seen: T, expected: T) -> Result<(), Violation> {
    if seen == expected {
        return Ok(());
    }
    // Values of a megabyte are nothing for a reader.
    let text = |value: T| format!("{value:.200?}").chars().take(500).collect();
    Err(Violation::Differs { what, seen: text(seen), expected: text(expected) })
}

/// That something holds.
pub(super) const fn holds(what: &'static str, does: bool) -> Result<(), Violation> {
    if does { Ok(()) } else { Err(Violation::DoesNotHold { what }) }
}

/// That a request is refused, and so.
pub(super) fn refused<T: Debug>(
    what: &'static str,
    done: Result<T, RegistryError>,
    expected: impl Into<RegistryError>,
) -> Result<(), Violation> {
    same(what, done.map(|done| format!("{done:?}")), Err(expected.into()))
}

/// What came of a request that must not fail.
pub(super) trait Done<T> {
    fn done(self, what: &'static str) -> Result<T, Violation>;
}

impl<T> Done<T> for Result<T, RegistryError> {
    fn done(self, what: &'static str) -> Result<T, Violation> {
        self.map_err(|source| Violation::Fails { what, source })
    }
}

/// What comes soon, or is missed.
pub(super) async fn soon<T>(what: &'static str, coming: impl Future<Output = T>) -> Result<T, Violation> {
    timeout(SOON, coming).await.map_err(|_| Violation::TooLate { what })
}
