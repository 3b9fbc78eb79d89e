//! Why a client is not let in, in words that it may read.

use dunlin::Refusal;
use jsonwebtoken::errors::{Error, ErrorKind};

/// Why a token does not let its client in. The words hold nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The handshake has none where it should be.
    #[error("log in first: there is no token")]
    Missing,
    /// It was good, and its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    TooEarly,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// It is by somebody else.
    #[error("the token is of another issuer")]
    Issuer,
    /// No key of this server is the one it names.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// It is signed in a way that this server does not take.
    #[error("the token is signed in a way that is not taken")]
    Algorithm,
    /// It lacks something.
    #[error("the token lacks the claim `{claim}`")]
    Claim {
        /// What it lacks.
        claim: String,
    },
    /// It is none, or somebody has changed it.
    #[error("the token is invalid")]
    Invalid,
}

impl Refused {
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::TooEarly,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            // Only names that this server asks for are named.
            ErrorKind::MissingRequiredClaim(claim) => Self::Claim { claim: claim.clone() },
            _ => Self::Invalid,
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::new(401, refused.to_string())
    }
}
