//! Tokens of clients, as the settings have them; with the feature `jwt`.

use dunlin::App;

use super::apply::Problem;
use super::sections::JwtSection;

/// What does not fit.
#[cfg(not(feature = "jwt"))]
pub(super) fn problem(_: &JwtSection) -> Option<Problem> {
    Some(Problem { key: "clients.jwt", said: "needs a program built with `--features jwt`".to_owned() })
}

/// Nobody is let in by settings that cannot be followed: [`problem`] has said so.
#[cfg(not(feature = "jwt"))]
pub(super) fn check(_: App, _: &JwtSection) -> anyhow::Result<App> {
    anyhow::bail!("`clients.jwt` needs a program built with `--features jwt`")
}

#[cfg(feature = "jwt")]
pub(super) use with_feature::{check, problem};

#[cfg(feature = "jwt")]
mod with_feature {
    use anyhow::Context as _;
    use dunlin_jwt::{Algorithm, JwtAuth};

    use super::{App, JwtSection, Problem};

    /// What does not fit.
    pub(in super::super) fn problem(section: &JwtSection) -> Option<Problem> {
        let error = auth(section).err()?;
        Some(Problem { key: "clients.jwt", said: format!("{error:#}") })
    }

    /// Lets in only clients with a token.
    pub(in super::super) fn check(app: App, section: &JwtSection) -> anyhow::Result<App> {
        Ok(app.validate(auth(section)?.validator()))
    }

    fn auth(section: &JwtSection) -> anyhow::Result<JwtAuth> {
        let mut builder = JwtAuth::builder(&section.keys);
        if !section.algorithms.is_empty() {
            let named = section.algorithms.iter().map(|name| name.parse());
            builder = builder.algorithms(named.collect::<Result<Vec<Algorithm>, _>>()?);
        }
        for issuer in &section.issuers {
            builder = builder.issuer(issuer);
        }
        for audience in &section.audiences {
            builder = builder.audience(audience);
        }
        if let Some(place) = &section.token_at {
            builder = builder.token_at(place);
        }
        if let Some(claim) = &section.uid_claim {
            builder = builder.uid_claim(claim);
        }
        builder.build().context("the keys of tokens cannot be used")
    }
}
