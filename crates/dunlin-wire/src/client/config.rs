//! What a client is made with: what it says of itself, and its bounds.

use serde_json::Value;

use crate::handshake::{CAP_AWAY, CAP_ERROR, CAP_UTF8, CAP_ZLIB, ClientSys};
use crate::limits::{
    CLIENT_TIMEOUT_MS_DEFAULT, IN_FLIGHT_MAX_DEFAULT, PACKET_BODY_LEN_MAX, UNSENT_LEN_MAX_DEFAULT,
};

/// What a client is made with. The default is a dunlin client that takes all this crate can read.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// What it says of itself. Say no capability this crate does not have.
    pub sys: ClientSys,
    /// What the application adds to the handshake.
    pub user: Value,
    /// The longest packet body taken from the server.
    pub body_len_max: usize,
    /// The longest packet body sent. nano takes 64 KiB.
    pub body_len_out_max: usize,
    /// The longest payload a compressed one may inflate to.
    pub inflated_len_max: usize,
    /// How long the server may take to answer the handshake.
    pub handshake_timeout_ms: u64,
    /// How long the server may take to answer a request, for owners who do not say it with each.
    pub request_timeout_ms: u64,
    /// How many requests may be unanswered.
    pub in_flight_max: usize,
    /// How many bytes may wait to be sent.
    pub unsent_len_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        let sys = ClientSys {
            kind: Some("dunlin-rust".to_owned()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            caps: [CAP_AWAY, CAP_ERROR, CAP_UTF8, CAP_ZLIB].map(str::to_owned).to_vec(),
            ..ClientSys::default()
        };
        Self {
            sys,
            user: Value::Null,
            body_len_max: PACKET_BODY_LEN_MAX,
            body_len_out_max: PACKET_BODY_LEN_MAX,
            inflated_len_max: PACKET_BODY_LEN_MAX,
            handshake_timeout_ms: CLIENT_TIMEOUT_MS_DEFAULT,
            request_timeout_ms: CLIENT_TIMEOUT_MS_DEFAULT,
            in_flight_max: IN_FLIGHT_MAX_DEFAULT,
            unsent_len_max: UNSENT_LEN_MAX_DEFAULT,
        }
    }
}
