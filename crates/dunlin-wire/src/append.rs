//! Appending what was put together in an array.

/// Appends the first `len` of `bytes`. All are copied and the rest is cut off: a copy of known length is a few moves, one of unknown
/// length is a call.
#[inline]
pub(crate) fn append_front<const N: usize>(bytes: &[u8; N], len: usize, out: &mut Vec<u8>) {
    let end = out.len() + len.min(N);
    out.extend_from_slice(bytes);
    out.truncate(end);
}
