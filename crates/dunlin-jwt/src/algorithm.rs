//! Which signatures there are.

use jsonwebtoken::Algorithm as Known;

/// How a token is signed.
///
/// All but the first three are checked with a public key, so a server that only checks cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever checks can sign as well, so it has to be asked for.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// RSA with PKCS #1 v1.5 and SHA-256.
    Rs256,
    /// RSA with PKCS #1 v1.5 and SHA-384.
    Rs384,
    /// RSA with PKCS #1 v1.5 and SHA-512.
    Rs512,
    /// RSA with PSS and SHA-256.
    Ps256,
    /// RSA with PSS and SHA-384.
    Ps384,
    /// RSA with PSS and SHA-512.
    Ps512,
    /// Ed25519.
    EdDsa,
}

/// There is no such signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no signature `{name}`; there are such as ES256, RS256 and EdDSA")]
pub struct UnknownAlgorithm {
    /// What was asked for.
    pub name: String,
}

impl std::str::FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Reads its name as RFC 7518 has it, such as `ES256`.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let found = Self::ALL.into_iter().find(|algorithm| format!("{:?}", algorithm.known()) == name);
        found.ok_or_else(|| UnknownAlgorithm { name: name.to_owned() })
    }
}

impl Algorithm {
    const ALL: [Self; 12] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Es256,
        Self::Es384,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
    ];

    /// What is taken when nothing else is asked for: the usual ones with public keys.
    pub(crate) const DEFAULT: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    pub(crate) const fn known(self) -> Known {
        match self {
            Self::Hs256 => Known::HS256,
            Self::Hs384 => Known::HS384,
            Self::Hs512 => Known::HS512,
            Self::Es256 => Known::ES256,
            Self::Es384 => Known::ES384,
            Self::Rs256 => Known::RS256,
            Self::Rs384 => Known::RS384,
            Self::Rs512 => Known::RS512,
            Self::Ps256 => Known::PS256,
            Self::Ps384 => Known::PS384,
            Self::Ps512 => Known::PS512,
            Self::EdDsa => Known::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_standard_and_none_is_no_signature() {
        assert_eq!("ES256".parse(), Ok(Algorithm::Es256));
        assert_eq!("EdDSA".parse(), Ok(Algorithm::EdDsa));
        for wrong in ["none", "es256", "", "HS1"] {
            assert!(wrong.parse::<Algorithm>().is_err(), "{wrong}");
        }
    }
}
