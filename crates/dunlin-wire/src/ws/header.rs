//! The frame header: what its first 2 to 14 bytes say, and every rule that can be checked by them alone.

use super::error::WsError;
use super::limits::CONTROL_LEN_MAX;

/// Which end of the connection *we* are. A server demands masked frames; a client refuses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// We accepted the connection.
    Server,
    /// We opened it.
    Client,
}

/// What a frame is: the low four bits of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message begun before.
    Continuation = 0x0,
    /// The first, perhaps only, fragment of a text.
    Text = 0x1,
    /// The first, perhaps only, fragment of bytes.
    Binary = 0x2,
    /// The end of what this side sends.
    Close = 0x8,
    /// To be answered with a Pong of the same payload.
    Ping = 0x9,
    /// The answer to a Ping, or unasked and meaningless.
    Pong = 0xa,
}

impl Opcode {
    /// Whether it is Close, Ping or Pong.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl TryFrom<u8> for Opcode {
    type Error = WsError;

    #[inline]
    fn try_from(opcode: u8) -> Result<Self, WsError> {
        match opcode {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            opcode => Err(WsError::UnknownOpcode { opcode }),
        }
    }
}

/// A whole frame header that broke no rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) is_fin: bool,
    pub(super) payload_len: u64,
    pub(super) mask: Option<[u8; 4]>,
    /// Bytes the header itself takes.
    pub(super) len: usize,
}

/// Reads the header at the front of `bytes`; `None` when its end has not come. Each rule is checked as soon as its byte is there.
#[inline]
pub(super) fn parse_header(bytes: &[u8], role: Role) -> Result<Option<Header>, WsError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let (opcode, is_fin) = parse_first(first)?;
    let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
    let is_masked = second & 0x80 != 0;
    match role {
        Role::Server if !is_masked => return Err(WsError::Unmasked),
        Role::Client if is_masked => return Err(WsError::Masked),
        Role::Server | Role::Client => {}
    }
    let short_len = second & 0x7f;
    if opcode.is_control() && usize::from(short_len) > CONTROL_LEN_MAX {
        return Err(WsError::ControlTooLong);
    }
    let Some((payload_len, rest)) = parse_len(short_len, rest)? else { return Ok(None) };
    let (mask, rest) = if is_masked {
        let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
        (Some(*key), rest)
    } else {
        (None, rest)
    };
    Ok(Some(Header { opcode, is_fin, payload_len, mask, len: bytes.len() - rest.len() }))
}

#[inline]
fn parse_first(first: u8) -> Result<(Opcode, bool), WsError> {
    let bits = (first >> 4) & 0x7;
    if bits != 0 {
        return Err(WsError::ReservedBits { bits });
    }
    let opcode = Opcode::try_from(first & 0xf)?;
    let is_fin = first & 0x80 != 0;
    if opcode.is_control() && !is_fin {
        return Err(WsError::ControlFragmented);
    }
    Ok((opcode, is_fin))
}

#[inline]
fn parse_len(short_len: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, WsError> {
    let (payload_len, shortest, rest) = match short_len {
        126 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*len)), 126, rest)
        }
        127 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*len), 1 << 16, rest)
        }
        len => (u64::from(len), 0, rest),
    };
    if payload_len < shortest {
        return Err(WsError::LengthNotShortest { payload_len });
    }
    if payload_len > i64::MAX.cast_unsigned() {
        return Err(WsError::LengthOverflow { payload_len });
    }
    Ok(Some((payload_len, rest)))
}
