//! Bodies of messages: what may be sent, and how what came is shown.
//!
//! What came is a stranger's: shown as text it has no control characters, so that it cannot move the cursor or worse.

use std::fmt::Write as _;
use std::io::Read;

use bytes::Bytes;
use serde_json::Value;

/// The most that is read for a body: more fits no packet of the protocol.
const BODY_LEN_MAX: u64 = (1 << 24) - 1;

/// Why a body cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is no JSON, which `--raw` would allow")]
    NoJson(#[from] serde_json::Error),
    #[error("standard input cannot be read")]
    Unreadable(#[from] std::io::Error),
    #[error("the body has more than {BODY_LEN_MAX} bytes, which fit no packet")]
    TooLong,
}

/// The body that the command line gives, or standard input for `-`.
pub(crate) fn given(text: &str, is_raw: bool, input: impl Read) -> Result<Bytes, BodyError> {
    if text != "-" {
        return checked(text.as_bytes().to_vec(), is_raw);
    }
    let mut body = Vec::new();
    input.take(BODY_LEN_MAX + 1).read_to_end(&mut body)?;
    checked(body, is_raw)
}

/// A body that may be sent.
pub(crate) fn checked(body: Vec<u8>, is_raw: bool) -> Result<Bytes, BodyError> {
    if u64::try_from(body.len()).is_ok_and(|len| len > BODY_LEN_MAX) {
        return Err(BodyError::TooLong);
    }
    if !is_raw {
        serde_json::from_slice::<serde::de::IgnoredAny>(&body)?;
    }
    Ok(body.into())
}

/// A body as text for people.
pub(crate) fn as_text(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => printable(text.trim_end()),
        Err(_) => hex(body),
    }
}

/// A body as a value: what it is in JSON, or else a string, or else its bytes in hexadecimal.
pub(crate) fn as_value(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    match (serde_json::from_slice(body), std::str::from_utf8(body)) {
        (Ok(value), _) => value,
        (Err(_), Ok(text)) => text.into(),
        (Err(_), Err(_)) => hex(body).into(),
    }
}

/// Text without control characters: each is written as JSON would, so that JSON stays the same JSON.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => printable.push(c),
            c if c.is_control() => write!(printable, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => printable.push(c),
        }
    }
    printable
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = "0x".to_owned();
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap_or_default();
    }
    hex
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_must_be_json_unless_it_is_raw() {
        assert_eq!(given("{\"a\": 1}", false, &[][..]).unwrap(), "{\"a\": 1}");
        assert_eq!(given("-", false, &b"[1]\n"[..]).unwrap(), "[1]\n");
        assert!(matches!(given("hello", false, &[][..]), Err(BodyError::NoJson(_))));
        assert!(matches!(given("-", false, &b"{} {}"[..]), Err(BodyError::NoJson(_))));
        assert_eq!(given("hello", true, &[][..]).unwrap(), "hello");
    }

    #[test]
    fn input_without_an_end_is_not_read_to_it() {
        assert!(matches!(given("-", true, std::io::repeat(b'x')), Err(BodyError::TooLong)));
    }

    #[test]
    fn what_a_server_says_cannot_act_on_a_terminal() {
        let hostile = "{\"a\":\"\u{9b}2J\u{7f}\"}";
        let shown = as_text(hostile.as_bytes());
        assert!(!shown.chars().any(char::is_control), "{shown}");
        let (as_sent, as_shown): (Value, Value) =
            (serde_json::from_str(hostile).unwrap(), serde_json::from_str(&shown).unwrap());
        assert_eq!(as_sent, as_shown, "and is the same JSON");
        assert_eq!(as_text(b"\x1b[2J"), "\\u001b[2J");
    }

    #[test]
    fn bodies_of_every_kind_are_values() {
        assert_eq!(as_value(b"{\"a\": 1}"), json!({ "a": 1 }));
        assert_eq!(as_value(b""), Value::Null);
        assert_eq!(as_value(b"hello"), json!("hello"));
        assert_eq!(as_value(&[0xff, 0x01]), json!("0xff01"));
    }
}
