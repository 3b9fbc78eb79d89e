//! The kick packet: the server's last word before it closes a connection.
//!
//! Always written with a JSON body, because some clients cannot take an empty one; read in every form there is.

use crate::limits::{KICK_REASON_LEN_MAX, PACKET_HEADER_LEN};
use crate::packet::{PacketError, PacketKind, packet_header};
use crate::text::{fold_cesu8, push_ascii_json_string};

/// Why the server ended the connection, in its own words: up to [`KICK_REASON_LEN_MAX`] bytes, empty when it did not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct KickReason(String);

impl KickReason {
    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reason as its own string.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl std::ops::Deref for KickReason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for KickReason {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KickReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The reason in the kick of a client that is sent away.
const AWAY_REASON: &str = "the server is stopping";

/// Appends a whole kick packet that sends a client away: `{"reason":"...","away_ms":5000}`. The client is to come back after a random time of at most
/// `within_ms` milliseconds, elsewhere if it knows where. Only for clients that take it.
///
/// # Errors
///
/// As [`encode_kick`].
pub fn encode_away(within_ms: u64, out: &mut Vec<u8>) -> Result<(), PacketError> {
    let body = format!("{{\"reason\":\"{AWAY_REASON}\",\"away_ms\":{within_ms}}}");
    out.extend_from_slice(&packet_header(PacketKind::Kick, body.len())?);
    out.extend_from_slice(body.as_bytes());
    Ok(())
}

/// Within how many milliseconds a client that gets this body of a kick packet is to come back; `None` for a kick.
#[must_use]
pub fn parse_away(body: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Away {
        away_ms: u64,
    }
    serde_json::from_slice(body).ok().map(|Away { away_ms }| away_ms)
}

/// Appends a whole kick packet with the body `{"reason":"..."}` in ASCII, which every client reads. A reason over
/// [`KICK_REASON_LEN_MAX`] bytes is cut between two characters.
///
/// # Errors
///
/// [`PacketError`] when the packet would be too long, which the cut rules out; `out` is then as it was.
pub fn encode_kick(reason: &str, out: &mut Vec<u8>) -> Result<(), PacketError> {
    let mut body = Vec::with_capacity(reason.len().min(KICK_REASON_LEN_MAX) + 16);
    body.extend_from_slice(b"{\"reason\":");
    push_ascii_json_string(cut(reason), &mut body);
    body.push(b'}');
    let header = packet_header(PacketKind::Kick, body.len())?;
    out.reserve(PACKET_HEADER_LEN + body.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(&body);
    Ok(())
}

/// Reads the body of a kick packet: JSON with a reason, any other text, or nothing. Never fails, because the connection ends anyway.
#[must_use]
pub fn parse_kick(body: &[u8]) -> KickReason {
    let text = match fold_cesu8(body) {
        Ok(text) => text,
        Err(_) => String::from_utf8_lossy(body),
    };
    let reason = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::Object(mut fields)) => match fields.remove("reason") {
            Some(serde_json::Value::String(reason)) => reason,
            Some(serde_json::Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        },
        Ok(serde_json::Value::String(reason)) => reason,
        Ok(serde_json::Value::Null) => String::new(),
        Ok(_) | Err(_) => text.into_owned(),
    };
    KickReason(cut(&reason).to_owned())
}

fn cut(reason: &str) -> &str {
    let len = reason.len().min(KICK_REASON_LEN_MAX);
    let fits = (0..=len).rev().find_map(|end| reason.get(..end));
    fits.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_kick_body_is_read() {
        for (body, expected) in [
            (&b""[..], ""),
            (br#"{"reason":"kick"}"#, "kick"),
            (br#"{"reason":null}"#, ""),
            (br#"{"reason":7}"#, "7"),
            (br#"{}"#, ""),
            (br#""plain""#, "plain"),
            (b"null", ""),
            (b"not JSON", "not JSON"),
            (b"bad \xFF byte", "bad \u{FFFD} byte"),
            (b"{\"reason\":\"\xED\xA0\xBD\xED\xB8\x80\"}", "😀"),
        ] {
            assert_eq!(parse_kick(body).as_str(), expected);
        }
    }

    #[test]
    fn reason_is_written_in_ascii_and_reads_the_same() {
        let mut out = Vec::new();
        encode_kick("é \"😀\"\n", &mut out).expect("it fits");
        assert!(out.is_ascii());
        assert_eq!(&*parse_kick(&out[PACKET_HEADER_LEN..]), "é \"😀\"\n");
    }

    #[test]
    fn being_sent_away_is_read_as_such_and_by_others_as_a_kick() {
        let mut out = Vec::new();
        encode_away(5_000, &mut out).expect("it fits");
        let body = &out[PACKET_HEADER_LEN..];
        assert_eq!(parse_away(body), Some(5_000));
        assert_eq!(parse_kick(body).as_str(), AWAY_REASON);
        for kick in
            [&b""[..], br#"{"reason":"kick"}"#, br#"{"away_ms":"soon"}"#, br#"{"away_ms":-1}"#, b"5000"]
        {
            assert_eq!(parse_away(kick), None);
        }
    }

    #[test]
    fn long_reason_is_cut_between_characters() {
        let reason = format!("a{}", "é".repeat(KICK_REASON_LEN_MAX));
        let mut out = Vec::new();
        encode_kick(&reason, &mut out).expect("it fits");
        let read = parse_kick(&out[PACKET_HEADER_LEN..]).into_string();
        assert_eq!(read.len(), KICK_REASON_LEN_MAX - 1);
        assert!(reason.starts_with(&read));
    }
}
