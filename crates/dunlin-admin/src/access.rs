//! Who may ask: pure.
//!
//! With a token, whoever has it. Without one the port is on loopback, and a page of somebody else's in a browser on this machine must not ask either: its
//! requests name another host, or cannot carry the header that every change needs.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method};
use subtle::ConstantTimeEq as _;

use crate::error::AdminError;
use crate::limits::TOKEN_LEN_MIN;

/// The header that a change needs when there is no token: no other page can send it.
pub(crate) const CHANGE: &str = "x-dunlin-change";

/// What whoever asks has to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// A token of at least sixteen characters.
    ///
    /// # Errors
    ///
    /// [`AdminError::TokenTooShort`].
    pub fn new(token: &str) -> Result<Self, AdminError> {
        let token = token.trim();
        if token.len() < TOKEN_LEN_MIN {
            return Err(AdminError::TokenTooShort { len: token.len() });
        }
        Ok(Self(token.into()))
    }

    /// Reads it from a file, which has nothing else.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when the file cannot be read, or holds too little.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, AdminError> {
        let path = path.as_ref();
        let failed = |source| AdminError::TokenFile { path: path.to_owned(), source: Arc::new(source) };
        Self::new(&std::fs::read_to_string(path).map_err(failed)?)
    }

    /// As the value of the header `Authorization`.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why somebody is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The token is missing or wrong.
    Token,
    /// The request is for another host: a page whose name was made to lead here.
    Host,
    /// A change without the header that our page sends.
    Change,
}

/// Whether a request is answered.
pub(crate) fn admit(token: Option<&Token>, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = token {
        let given = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        return given.filter(|given| token.is(given)).map(drop).ok_or(Refused::Token);
    }
    if !text(HOST.as_str()).is_some_and(is_loopback) {
        return Err(Refused::Host);
    }
    let is_change = !matches!(*method, Method::GET | Method::HEAD);
    if is_change && text(CHANGE).is_none() {
        return Err(Refused::Change);
    }
    Ok(())
}

/// Whether a host, with or without its port, is this machine's by its very name.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn with_a_token_whoever_has_it_is_answered_and_nobody_else() {
        let token = Token::new("0123456789abcdef").unwrap();
        let ask = |pairs: &[(&'static str, &str)]| admit(Some(&token), &Method::POST, &headers(pairs));
        assert_eq!(ask(&[("authorization", "Bearer 0123456789abcdef")]), Ok(()));
        for wrong in
            ["Bearer 0123456789abcdeg", "Bearer ", "Basic 0123456789abcdef", "Bearer 0123456789abcdef0"]
        {
            assert_eq!(ask(&[("authorization", wrong)]), Err(Refused::Token), "{wrong}");
        }
        assert_eq!(ask(&[("host", "localhost")]), Err(Refused::Token));
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn without_a_token_only_requests_that_name_this_machine_are_answered() {
        let ask = |host| admit(None, &Method::GET, &headers(&[("host", host)]));
        for own in ["localhost:7070", "127.0.0.1:7070", "[::1]:7070", "127.0.0.1"] {
            assert_eq!(ask(own), Ok(()), "{own}");
        }
        for other in ["evil.example:7070", "localhost.evil.example", "10.0.0.1:7070", "", "[::2]:7070"] {
            assert_eq!(ask(other), Err(Refused::Host), "{other}");
        }
    }

    #[test]
    fn a_change_needs_the_header_that_no_other_page_can_send() {
        let ask = |pairs: &[(&'static str, &str)]| admit(None, &Method::POST, &headers(pairs));
        assert_eq!(ask(&[("host", "localhost:7070")]), Err(Refused::Change));
        assert_eq!(ask(&[("host", "localhost:7070"), (CHANGE, "1")]), Ok(()));
    }

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        assert!(matches!(Token::new(" short \n"), Err(AdminError::TokenTooShort { len: 5 })));
    }
}
