//! Compressed payloads and bodies: zlib as pitaya uses it, gzip where somebody sends that.
//!
//! Invariant: the output buffer never has room for more than the limit, whatever the input promises.

use std::io::Read;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::limits::DEFLATE_LEN_MIN;

#[cfg(test)]
mod tests;

/// The first two bytes of gzip. No zlib stream begins like this: its first byte would name an unknown method.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The first guess at how far a body inflates.
const GROWTH_GUESS: usize = 4;

/// Why a compressed body cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// It inflates to more than the limit.
    #[error("body inflates to more than {len_max} bytes")]
    TooLong {
        /// The limit in force.
        len_max: usize,
    },
    /// It is not a zlib or gzip stream, or its checksum is wrong.
    #[error("body is no zlib or gzip stream")]
    Corrupt,
    /// It ends before the stream does.
    #[error("body ends inside its compressed stream")]
    Truncated,
    /// Bytes follow the stream. A body is one stream, so that everybody who reads it sees the same.
    #[error("{trailing_len} bytes follow the compressed stream")]
    TrailingBytes {
        /// How many.
        trailing_len: usize,
    },
}

/// Inflates a zlib or gzip body, told apart by their first bytes.
///
/// # Errors
///
/// [`InflateError`] when it would be longer than `len_max`, is broken, or is followed by other bytes.
pub fn inflate(body: &[u8], len_max: usize) -> Result<Vec<u8>, InflateError> {
    if body.starts_with(&GZIP_MAGIC) { inflate_gzip(body, len_max) } else { inflate_zlib(body, len_max) }
}

fn inflate_zlib(body: &[u8], len_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut stream = Decompress::new(true);
    let mut out = Output::new(body.len(), len_max);
    let mut rest = body;
    loop {
        let (in_before, out_before) = (stream.total_in(), stream.total_out());
        let status = stream
            .decompress(rest, out.room(), FlushDecompress::None)
            .map_err(|_corrupt| InflateError::Corrupt)?;
        let taken = advanced(in_before, stream.total_in());
        rest = rest.get(taken..).unwrap_or_default();
        let written = advanced(out_before, stream.total_out());
        out.advance(written)?;
        match status {
            Status::StreamEnd => break,
            Status::Ok | Status::BufError if taken == 0 && written == 0 => {
                return Err(InflateError::Truncated);
            }
            Status::Ok | Status::BufError => {}
        }
    }
    out.finish(rest)
}

fn inflate_gzip(body: &[u8], len_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut stream = flate2::bufread::GzDecoder::new(body);
    let mut out = Output::new(body.len(), len_max);
    loop {
        match stream.read(out.room()) {
            Ok(0) => break,
            Ok(written) => out.advance(written)?,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(InflateError::Truncated);
            }
            Err(_) => return Err(InflateError::Corrupt),
        }
    }
    let rest = stream.into_inner();
    out.finish(rest)
}

fn advanced(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

/// The bytes inflated so far. The buffer has one byte more than the limit allows, to tell a body that ends there from one that goes on.
struct Output {
    bytes: Vec<u8>,
    filled: usize,
    len_max: usize,
}

impl Output {
    fn new(body_len: usize, len_max: usize) -> Self {
        let guess = body_len.saturating_mul(GROWTH_GUESS);
        Self { bytes: vec![0; guess.min(len_max).saturating_add(1)], filled: 0, len_max }
    }

    /// Where more may be written; never empty, because `advance` refuses what fills the last byte.
    fn room(&mut self) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            let doubled = self.bytes.len().saturating_mul(2);
            let len = doubled.min(self.len_max.saturating_add(1));
            self.bytes.reserve_exact(len - self.filled);
            self.bytes.resize(len, 0);
        }
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    fn advance(&mut self, written: usize) -> Result<(), InflateError> {
        self.filled += written;
        if self.filled > self.len_max {
            return Err(InflateError::TooLong { len_max: self.len_max });
        }
        Ok(())
    }

    fn finish(mut self, rest: &[u8]) -> Result<Vec<u8>, InflateError> {
        if !rest.is_empty() {
            let trailing_len = rest.len();
            return Err(InflateError::TrailingBytes { trailing_len });
        }
        self.bytes.truncate(self.filled);
        Ok(self.bytes)
    }
}

/// Compresses a body with zlib, if that makes it smaller. Short bodies are not tried.
#[must_use]
pub fn deflate_if_smaller(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < DEFLATE_LEN_MIN {
        return None;
    }
    let mut stream = Compress::new(Compression::default(), true);
    // One byte less than the body: what does not end within it is not smaller.
    let mut out = vec![0; body.len() - 1];
    let status = stream.compress(body, &mut out, FlushCompress::Finish).ok()?;
    if status != Status::StreamEnd {
        return None;
    }
    out.truncate(usize::try_from(stream.total_out()).ok()?);
    out.shrink_to_fit();
    Some(out)
}
