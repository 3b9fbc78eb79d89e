//! The sending side: frames appended to a buffer of the caller. Masking keys are arguments: `None` from a server, a fresh random
//! one for each frame from a client.

use super::close::is_sendable_code;
use super::decode::Control;
use super::header::Opcode;
use super::limits::{CLOSE_REASON_LEN_MAX, CONTROL_LEN_MAX, FRAME_HEADER_LEN_MAX};
use super::mask::apply_mask;
use crate::append::append_front;

/// The bytes before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    bytes: [u8; FRAME_HEADER_LEN_MAX],
    len: u8,
}

impl FrameHeader {
    /// The bytes to send.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Appends the bytes to send.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        append_front(&self.bytes, usize::from(self.len), out);
    }

    #[inline]
    fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        let start = usize::from(self.len);
        if let Some(slots) = self.bytes.get_mut(start..start + N) {
            slots.copy_from_slice(&bytes);
            self.len += N as u8;
        }
    }
}

/// The header of a frame. With a `mask` the payload must be sent through [`apply_mask`] with the same key.
#[inline]
#[must_use]
pub fn frame_header(opcode: Opcode, is_fin: bool, payload_len: usize, mask: Option<[u8; 4]>) -> FrameHeader {
    let mut header = FrameHeader { bytes: [0; FRAME_HEADER_LEN_MAX], len: 0 };
    let first = (u8::from(is_fin) << 7) | opcode as u8;
    let mask_bit = u8::from(mask.is_some()) << 7;
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(len), _) if len < 126 => header.push([first, mask_bit | len]),
        (_, Ok(len)) => {
            header.push([first, mask_bit | 126]);
            header.push(len.to_be_bytes());
        }
        _ => {
            header.push([first, mask_bit | 127]);
            header.push((payload_len as u64).to_be_bytes());
        }
    }
    if let Some(key) = mask {
        header.push(key);
    }
    header
}

/// Bytes on the wire of a frame with a payload of `payload_len`.
#[inline]
#[must_use]
pub const fn frame_len(payload_len: usize, is_masked: bool) -> usize {
    let len_len = match payload_len {
        0..126 => 0,
        126..0x1_0000 => 2,
        _ => 8,
    };
    let mask_len = if is_masked { 4 } else { 0 };
    payload_len.saturating_add(2 + len_len + mask_len)
}

/// Appends a binary message in one frame.
#[inline]
pub fn encode_binary(out: &mut Vec<u8>, payload: &[u8], mask: Option<[u8; 4]>) {
    encode_frame(out, Opcode::Binary, payload, mask);
}

/// Appends a text message in one frame.
pub fn encode_text(out: &mut Vec<u8>, payload: &str, mask: Option<[u8; 4]>) {
    encode_frame(out, Opcode::Text, payload.as_bytes(), mask);
}

/// Appends a Ping.
pub fn encode_ping(out: &mut Vec<u8>, payload: &Control, mask: Option<[u8; 4]>) {
    encode_frame(out, Opcode::Ping, payload.as_slice(), mask);
}

/// Appends the Pong that answers a Ping of this payload.
pub fn encode_pong(out: &mut Vec<u8>, payload: &Control, mask: Option<[u8; 4]>) {
    encode_frame(out, Opcode::Pong, payload.as_slice(), mask);
}

/// Appends a Close. A code that must not travel (1005 above all, which says that there is none) gives a Close without payload;
/// a reason over 123 bytes is cut at the end of a character.
pub fn encode_close(out: &mut Vec<u8>, code: u16, reason: &str, mask: Option<[u8; 4]>) {
    let mut payload = [0; CONTROL_LEN_MAX];
    let mut len = 0;
    if is_sendable_code(code) {
        let bytes = code.to_be_bytes().into_iter().chain(cut(reason, CLOSE_REASON_LEN_MAX).bytes());
        for (slot, byte) in payload.iter_mut().zip(bytes) {
            *slot = byte;
            len += 1;
        }
    }
    encode_frame(out, Opcode::Close, payload.split_at(len).0, mask);
}

#[inline]
fn encode_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    let header = frame_header(opcode, true, payload.len(), mask);
    out.reserve(FRAME_HEADER_LEN_MAX + payload.len());
    header.append_to(out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask
        && let Some(payload) = out.get_mut(start..)
    {
        apply_mask(payload, key);
    }
}

/// The longest beginning of `text` that ends with a whole character within `len_max` bytes.
fn cut(text: &str, len_max: usize) -> &str {
    let mut len = len_max.min(text.len());
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    text.split_at(len).0
}
