//! Text as old JavaScript clients write and read it.
//!
//! They encode strings one UTF-16 unit at a time, so that a character outside the basic plane leaves as two 3-byte sequences
//! (CESU-8), and they cannot read a 4-byte sequence at all. [`fold_cesu8`] reads what they write; [`escape_non_bmp`] writes JSON
//! they can read.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Why bytes are not text, not even in CESU-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A byte that begins no character.
    #[error("byte {at} begins no UTF-8 character")]
    Invalid {
        /// Its index.
        at: usize,
    },
}

/// Reads bytes as text: UTF-8, or CESU-8 with surrogate pairs as two 3-byte sequences, which are folded into the character they
/// stand for. A surrogate without its other half becomes U+FFFD, as browsers do it.
///
/// Valid UTF-8 is borrowed. What is folded is never longer than the input.
///
/// # Errors
///
/// [`TextError`] for bytes that are neither.
#[inline]
pub fn fold_cesu8(bytes: &[u8]) -> Result<Cow<'_, str>, TextError> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => fold(bytes).map(Cow::Owned),
    }
}

#[cold]
fn fold(bytes: &[u8]) -> Result<String, TextError> {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let valid_len = match str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                break;
            }
            Err(error) => error.valid_up_to(),
        };
        let (valid, invalid) = rest.split_at(valid_len);
        text.push_str(str::from_utf8(valid).unwrap_or_default());
        let (character, tail) =
            split_surrogates(invalid).ok_or(TextError::Invalid { at: bytes.len() - invalid.len() })?;
        text.push(character);
        rest = tail;
    }
    Ok(text)
}

/// Splits one encoded surrogate, or a pair, off the front.
fn split_surrogates(bytes: &[u8]) -> Option<(char, &[u8])> {
    let (high, after_high) = split_surrogate(bytes)?;
    if let Some((low, after_low)) = split_surrogate(after_high)
        && let Some(Ok(character)) = char::decode_utf16([high, low]).next()
    {
        return Some((character, after_low));
    }
    Some((char::REPLACEMENT_CHARACTER, after_high))
}

/// Splits one 3-byte sequence of a surrogate, high or low, off the front.
fn split_surrogate(bytes: &[u8]) -> Option<(u16, &[u8])> {
    match bytes {
        [0xED, mid @ 0xA0..=0xBF, low @ 0x80..=0xBF, rest @ ..] => {
            let unit = 0xD000 | (u16::from(mid & 0x3F) << 6) | u16::from(low & 0x3F);
            Some((unit, rest))
        }
        _ => None,
    }
}

/// Replaces each character outside the basic plane in a JSON text by its two `\u` escapes, which every JSON reader understands.
/// Borrows when there is none, which is found out at the speed of memory.
///
/// Right for JSON only, where such characters occur inside strings alone. Bytes that are not UTF-8 stay as they are.
#[must_use]
pub fn escape_non_bmp(json: &[u8]) -> Cow<'_, [u8]> {
    if !has_four_byte_lead(json) {
        return Cow::Borrowed(json);
    }
    let mut escaped = Vec::with_capacity(json.len() + json.len() / 4 + 16);
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&byte| byte >= 0xF0) {
        let (before, lead) = rest.split_at(at);
        escaped.extend_from_slice(before);
        let (sequence, tail) = lead.split_at(lead.len().min(4));
        match str::from_utf8(sequence).ok().and_then(|text| text.chars().next()) {
            Some(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    push_escape(*unit, &mut escaped);
                }
                rest = tail;
            }
            None => {
                let (byte, tail) = lead.split_at(1);
                escaped.extend_from_slice(byte);
                rest = tail;
            }
        }
    }
    escaped.extend_from_slice(rest);
    Cow::Owned(escaped)
}

/// Appends `text` as a JSON string of ASCII characters only.
pub(crate) fn push_ascii_json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            ' '..='~' => out.push(u8::try_from(character).unwrap_or(b'?')),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    push_escape(*unit, out);
                }
            }
        }
    }
    out.push(b'"');
}

/// Whether any byte could begin a 4-byte sequence. Blocks are compared as a whole so that the compiler uses vector registers.
fn has_four_byte_lead(bytes: &[u8]) -> bool {
    let blocks = bytes.chunks_exact(64);
    let tail = blocks.remainder();
    for block in blocks {
        if block.iter().fold(0, |max: u8, &byte| max.max(byte)) >= 0xF0 {
            return true;
        }
    }
    tail.iter().any(|&byte| byte >= 0xF0)
}

fn push_escape(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = u32::from((unit >> shift) & 0xF);
        let digit = char::from_digit(digit, 16).unwrap_or('0');
        out.push(digit.to_ascii_uppercase() as u8);
    }
}
