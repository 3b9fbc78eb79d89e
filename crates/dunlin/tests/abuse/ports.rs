//! The wrong language at a port.

use std::time::Duration;

use super::Row;
use super::victim::{Client, End, Victim};

/// The beginning of a TLS handshake.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03";

pub(crate) fn attack(victim: &Victim) -> Vec<Row> {
    let end = |addr, bytes: &[u8]| Client::connect(addr).send(bytes).end(Duration::from_secs(5));
    let to_tls = [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x01\x00\x00\x02{}",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    ]
    .map(|bytes| end(victim.tls, bytes));
    let to_plain = end(victim.plain, CLIENT_HELLO);
    // What TLS says before it closes is an alert, a record of kind 21, and never a page or a handshake's answer.
    let is_alert = |end: &End| matches!(end, End::Closed(heard) if heard.is_empty() || heard[0] == 21);
    let closed = to_tls.iter().filter(|end| is_alert(end)).count();
    let is_plain_closed = to_plain != End::Open;
    vec![Row {
        attack: "wrong language",
        tried: "HTTP, packets and the PROXY protocol to the port of TLS; TLS to the port of plain text"
            .to_owned(),
        wanted: "closed, nothing in plain text at the port of TLS",
        happened: format!(
            "{closed} of 3 closed by TLS; plain text {}",
            if is_plain_closed { "closed" } else { "open" }
        ),
        is_held: closed == 3 && is_plain_closed,
    }]
}
