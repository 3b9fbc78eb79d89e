//! Frames: how what is written together is laid into a segment, and what bytes that are no frame look like.
//!
//! Knows nothing of what a frame says. Byte tables: `docs/design/003-log-on-disk.md`.
//!
//! Invariants: a header never lies across sectors, and no sector of a frame that was written is all zeros, whatever is in it:
//! every sector has a header or a [`MARK`]. So zeros mean that the disk did not write them, and a single flipped bit never looks
//! so. No length is believed before it was held against the file.

use super::error::Damage;
use super::name::SegmentName;

/// What a disk writes whole or not at all.
pub(super) const SECTOR_LEN: usize = 512;
/// What a segment begins with.
pub(super) const SEGMENT_HEADER_LEN: usize = 16;
/// What a frame begins with; frames begin at multiples of it.
pub(super) const FRAME_HEADER_LEN: usize = 16;

const MAGIC: [u8; 8] = *b"dunlog\x1a\n";
const VERSION: u32 = 1;

/// The first byte of every sector that begins inside a payload. Several bits, so that one flipped bit does not make it zero.
const MARK: u8 = 0xa5;

/// What checksums of headers in a segment begin from, so that a frame of another segment is none here.
pub(super) fn seed(name: SegmentName) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&MAGIC);
    hasher.update(&VERSION.to_le_bytes());
    hasher.update(&name.sequence.to_le_bytes());
    hasher.update(&name.first_index.to_le_bytes());
    hasher.finalize()
}

/// Appends the header of a segment.
pub(super) fn encode_segment_header(name: SegmentName, out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&seed(name).to_le_bytes());
}

/// Where a frame is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The [`seed`] of its segment.
    pub(super) seed: u32,
    /// How far from the beginning of the file, a multiple of [`FRAME_HEADER_LEN`].
    pub(super) offset: usize,
    /// How many frames are before it, modulo 2^32.
    pub(super) number: u32,
}

/// Appends a frame to bytes that are to be written so that it comes to its place. The payload is not empty, and short enough that
/// its length with marks is a `u32`.
pub(super) fn encode_frame(payload: &[u8], place: Place, out: &mut Vec<u8>) {
    let header_at = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_LEN]);
    put_marked(payload, place.offset + FRAME_HEADER_LEN, out);
    let mut header = [0; FRAME_HEADER_LEN];
    if let Some(marked) = out.get(header_at + FRAME_HEADER_LEN..) {
        let len = u32::try_from(marked.len()).unwrap_or(u32::MAX);
        header = encode_header(len, place, crc32fast::hash(marked));
    }
    if let Some(space) = out.get_mut(header_at..header_at + FRAME_HEADER_LEN) {
        space.copy_from_slice(&header);
    }
    let frame_len = out.len() - header_at;
    out.resize(header_at + frame_len.next_multiple_of(FRAME_HEADER_LEN), 0);
}

fn encode_header(len: u32, place: Place, payload_crc: u32) -> [u8; FRAME_HEADER_LEN] {
    let mut header = [0; FRAME_HEADER_LEN];
    let (fields, crc) = header.split_at_mut(12);
    for (space, field) in fields.chunks_exact_mut(4).zip([len, place.number, payload_crc]) {
        space.copy_from_slice(&field.to_le_bytes());
    }
    crc.copy_from_slice(&header_crc(place.seed, fields).to_le_bytes());
    header
}

fn header_crc(seed: u32, fields: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(fields);
    hasher.finalize()
}

/// Appends a payload that begins at this offset, with a mark at the beginning of every sector.
fn put_marked(mut payload: &[u8], mut offset: usize, out: &mut Vec<u8>) {
    while !payload.is_empty() {
        if offset.is_multiple_of(SECTOR_LEN) {
            out.push(MARK);
            offset += 1;
        }
        let room = SECTOR_LEN - offset % SECTOR_LEN;
        let (piece, rest) = payload.split_at(room.min(payload.len()));
        out.extend_from_slice(piece);
        offset += piece.len();
        payload = rest;
    }
}

/// A payload without its marks, which began at this offset.
pub(super) fn without_marks(mut marked: &[u8], mut offset: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(marked.len());
    while !marked.is_empty() {
        let room = SECTOR_LEN - offset % SECTOR_LEN;
        let (piece, rest) = marked.split_at(room.min(marked.len()));
        let is_sector_start = offset.is_multiple_of(SECTOR_LEN);
        payload.extend_from_slice(piece.get(usize::from(is_sector_start)..).unwrap_or_default());
        offset += piece.len();
        marked = rest;
    }
    payload
}

/// What is at a place of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look<'a> {
    /// The file ends there.
    End,
    /// A frame that is whole.
    Frame {
        /// Its payload, with marks.
        marked: &'a [u8],
        /// Where it ends.
        end: usize,
    },
    /// What a crash makes of a frame, if it was the last.
    Torn {
        /// From where on there must be no other frame.
        rest: usize,
    },
    /// What no crash makes of a frame.
    Damaged(Damage),
}

/// Whether a file begins as this segment.
pub(super) fn look_at_segment_header(file: &[u8], name: SegmentName) -> Look<'_> {
    let mut expected = Vec::with_capacity(SEGMENT_HEADER_LEN);
    encode_segment_header(name, &mut expected);
    match file.split_at_checked(SEGMENT_HEADER_LEN) {
        None => Look::Torn { rest: file.len() },
        Some((header, _)) if header == expected => Look::Frame { marked: header, end: SEGMENT_HEADER_LEN },
        Some((header, _)) if is_zero(header) => Look::Torn { rest: SEGMENT_HEADER_LEN },
        Some(_) => Look::Damaged(Damage::SegmentHeader),
    }
}

/// What is at a place.
pub(super) fn look(file: &[u8], place: Place) -> Look<'_> {
    let rest = file.get(place.offset..).unwrap_or_default();
    if rest.is_empty() {
        return Look::End;
    }
    let Some((header, body)) = rest.split_at_checked(FRAME_HEADER_LEN) else {
        return Look::Torn { rest: file.len() };
    };
    if is_zero(header) {
        return Look::Torn { rest: place.offset + FRAME_HEADER_LEN };
    }
    let Some(header) = Header::decode(header, place.seed) else {
        return Look::Damaged(Damage::HeaderChecksum);
    };
    if header.number != place.number {
        let (number, expected) = (header.number, place.number);
        return Look::Damaged(Damage::FrameNumber { number, expected });
    }
    let padded_len = header.len.checked_next_multiple_of(FRAME_HEADER_LEN).unwrap_or(usize::MAX);
    let (Some(padded), Some((marked, padding))) = (body.get(..padded_len), body.split_at_checked(header.len))
    else {
        return Look::Torn { rest: file.len() };
    };
    let end = place.offset + FRAME_HEADER_LEN + padded_len;
    if crc32fast::hash(marked) != header.payload_crc {
        if has_zero_sector(padded, place.offset + FRAME_HEADER_LEN) {
            return Look::Torn { rest: end };
        }
        return Look::Damaged(Damage::PayloadChecksum);
    }
    match padding.get(..padded_len - header.len) {
        Some(padding) if is_zero(padding) => Look::Frame { marked, end },
        _ => Look::Damaged(Damage::Padding),
    }
}

/// The first header of a frame from this place on that could be that of the frame with its number, or of a later one.
///
/// Only headers are looked for: that one was written shows that the frame before it was synced, whatever became of its own
/// payload. A number or length that the file has no room for is one by chance.
pub(super) fn find_header(file: &[u8], place: Place) -> Option<(usize, u32)> {
    let mut offset = place.offset.next_multiple_of(FRAME_HEADER_LEN);
    while let Some(rest) = file.get(offset..)
        && let Some((header, body)) = rest.split_at_checked(FRAME_HEADER_LEN)
    {
        if let Some(header) = Header::decode(header, place.seed) {
            let frames_between =
                usize::try_from(header.number.wrapping_sub(place.number)).unwrap_or(usize::MAX);
            if frames_between <= offset / FRAME_HEADER_LEN && header.len <= body.len() {
                return Some((offset, header.number));
            }
        }
        offset += FRAME_HEADER_LEN;
    }
    None
}

struct Header {
    len: usize,
    number: u32,
    payload_crc: u32,
}

impl Header {
    /// Reads a header; `None` when its checksum is wrong, or it says that nothing follows, which none does that we wrote.
    fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let (fields, crc) = bytes.split_at_checked(12)?;
        if u32::from_le_bytes(*crc.first_chunk()?) != header_crc(seed, fields) {
            return None;
        }
        let mut fields = fields.chunks_exact(4).filter_map(|field| field.first_chunk().copied());
        let mut field = || fields.next().map(u32::from_le_bytes);
        let (len, number, payload_crc) = (field()?, field()?, field()?);
        (len > 0).then_some(Self { len: usize::try_from(len).ok()?, number, payload_crc })
    }
}

/// Whether a sector of these bytes, which begin at this offset, is all zeros; the first and the last may be a part of one.
fn has_zero_sector(mut bytes: &[u8], offset: usize) -> bool {
    let mut room = SECTOR_LEN - offset % SECTOR_LEN;
    // The first sector has the header in it, which is not zeros.
    let mut is_first = !offset.is_multiple_of(SECTOR_LEN);
    while !bytes.is_empty() {
        let (sector, rest) = bytes.split_at(room.min(bytes.len()));
        if !is_first && is_zero(sector) {
            return true;
        }
        (room, is_first, bytes) = (SECTOR_LEN, false, rest);
    }
    false
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
