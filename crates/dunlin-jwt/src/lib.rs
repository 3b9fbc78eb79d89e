//! Lets clients of dunlin in by JSON Web Tokens that somebody else has signed.
//!
//! [`JwtAuth`] is a validator for `App::validate`: it finds the token in the handshake, checks it, and binds the session to the
//! user it names. `auth.rs` is that; `keys.rs` reads keys from files, again when they change; `algorithm.rs` says which
//! signatures there are; `refused.rs` what a client is told.
//!
//! Invariants: which algorithms are taken is said by whoever runs the server, and by the kind of each key, never by a token; a token
//! or a key is in no text that this crate makes.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/security.md")]
mod pages {}

mod algorithm;
mod auth;
mod keys;
mod refused;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use auth::{Builder, Claims, JwtAuth};
pub use keys::KeyError;
pub use refused::Refused;
