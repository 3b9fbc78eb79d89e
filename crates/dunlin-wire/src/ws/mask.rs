//! Masking of client frames: the payload is XORed with a key of four bytes, over and over.

/// Masks or unmasks `bytes` in place and gives the key for the bytes that follow, rotated so that it begins where these ended. Only
/// a frame that comes in pieces needs that.
///
/// ```
/// use dunlin_wire::ws::apply_mask;
///
/// let mut bytes = *b"Hello";
/// let next = apply_mask(&mut bytes, [0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(bytes, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// assert_eq!(next, [0xfa, 0x21, 0x3d, 0x37]);
/// ```
#[inline]
pub fn apply_mask(bytes: &mut [u8], key: [u8; 4]) -> [u8; 4] {
    let [a, b, c, d] = key;
    let word_key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ word_key).to_ne_bytes();
    }
    // Fewer than eight bytes are left, and words of eight did not turn the key.
    for (byte, key_byte) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key_byte;
    }
    match rest.len() % 4 {
        0 => [a, b, c, d],
        1 => [b, c, d, a],
        2 => [c, d, a, b],
        _ => [d, a, b, c],
    }
}
