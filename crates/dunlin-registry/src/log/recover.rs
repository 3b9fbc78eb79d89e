//! Reading a log from a disk: what is whole is taken, a torn end is cut off, and anything else is refused by file and offset.
//!
//! Invariants: nothing on the disk is changed before all of it was read and found good; what is given was synced.

use std::collections::VecDeque;

use prost::Message as _;
use tracing::warn;

use super::disk::{Disk, is_full};
use super::error::{Damage, LogError, Step};
use super::frame::{self, FRAME_HEADER_LEN, Look, Place, SEGMENT_HEADER_LEN};
use super::name::{ENDING, SegmentName};
use super::payload::{Payload, Start};
use super::replay::Replay;
use super::segment::Segment;
use super::types::{Identity, Recovered};

/// A log as it was found. Without a segment there is none, or its first frame was never whole.
pub(super) struct Found {
    pub(super) recovered: Recovered,
    pub(super) segments: VecDeque<Segment>,
}

/// Reads the log, and mends its end.
pub(super) fn recover(disk: &mut impl Disk, identity: Identity) -> Result<Found, LogError> {
    let names = segment_names(disk)?;
    let mut reader =
        Reader { identity, replay: None, segments: VecDeque::new(), torn: None, last_frame: Vec::new() };
    for name in &names {
        let is_last = names.last() == Some(name);
        reader.read(*name, &read(disk, *name)?, is_last)?;
    }
    let Reader { replay, segments, torn, last_frame, .. } = reader;
    if let (Some(replay), Some(first)) = (&replay, segments.front()) {
        replay.check_whole().map_err(|what| LogError::damaged(first.name, 0, what))?;
    }
    let cut = torn.map(|torn| mend(disk, torn)).transpose()?;
    if let Some(last) = segments.back() {
        secure(disk, last, &last_frame)?;
    }
    if let Some(last) = names.last() {
        let (step, file) = (Step::SyncDirectory, last.to_string());
        disk.sync_directory().map_err(|source| LogError::Disk { step, file, source })?;
    }
    let recovered = match replay {
        Some(Replay { hard_state, mark: snapshot, entries, .. }) => {
            Recovered { hard_state, snapshot, entries, cut }
        }
        None => Recovered { cut, ..Recovered::default() },
    };
    Ok(Found { recovered, segments })
}

/// Whose log is on a disk. `None` when there is none, or its first frame was never whole.
pub(super) fn identity(disk: &impl Disk) -> Result<Option<Identity>, LogError> {
    let names = segment_names(disk)?;
    let Some(name) = names.first() else { return Ok(None) };
    let file = read(disk, *name)?;
    let mut segment = Segment::new(*name);
    let is_last = names.len() == 1;
    let start = match next_payload(&file, &mut segment, is_last)? {
        Next::Payload(payload, offset) => {
            payload.start.ok_or_else(|| LogError::damaged(*name, offset, Damage::NoStart))?
        }
        Next::End | Next::Torn => return explain_no_frame(*name, None).map(|()| None),
    };
    Ok(Some(start.identity()))
}

/// The segments, in order, none missing.
fn segment_names(disk: &impl Disk) -> Result<Vec<SegmentName>, LogError> {
    let files = disk.list().map_err(|source| LogError::Disk {
        step: Step::List,
        file: "the directory".to_owned(),
        source,
    })?;
    let mut names = Vec::new();
    for file in files.into_iter().filter(|file| file.ends_with(ENDING)) {
        match SegmentName::parse(&file) {
            Some(name) => names.push(name),
            None => return Err(LogError::Damaged { file, offset: 0, what: Damage::Name }),
        }
    }
    names.sort_unstable();
    for (name, next) in names.iter().zip(names.iter().skip(1)) {
        if name.sequence == next.sequence {
            return Err(LogError::damaged(*next, 0, Damage::DuplicateSegment));
        }
        let sequence = name.sequence.saturating_add(1);
        if sequence != next.sequence {
            return Err(LogError::damaged(*next, 0, Damage::MissingSegment { sequence }));
        }
    }
    Ok(names)
}

fn read(disk: &impl Disk, name: SegmentName) -> Result<Vec<u8>, LogError> {
    let file = name.to_string();
    disk.read(&file).map_err(|source| LogError::Disk { step: Step::Read, file, source })
}

/// The end of the last segment, when a crash tore it.
#[derive(Clone, Copy)]
struct Torn {
    name: SegmentName,
    /// What is whole; 0 when not even the first frame is.
    whole_len: u64,
    len: u64,
}

/// Cuts a torn end off, which is yet to be synced. Gives how much it was.
fn mend(disk: &mut impl Disk, torn: Torn) -> Result<u64, LogError> {
    let Torn { name, whole_len, len } = torn;
    let file = name.to_string();
    let cut = len - whole_len;
    warn!(file, offset = whole_len, cut, "the log ends in an append that a crash tore; it is cut off");
    let (step, done) = if whole_len > 0 {
        (Step::Truncate, disk.truncate(&file, whole_len))
    } else {
        (Step::Remove, disk.remove(&file))
    };
    done.map_err(|source| LogError::Disk { step, file, source })?;
    Ok(cut)
}

/// Makes the last frame stay, which need not have been synced: a process that was killed, or that ended because a sync failed,
/// leaves what it wrote for all to read until the power goes. After a failed sync the system may take it for written, so it is
/// written again. The frames before were synced before this one was begun.
fn secure(disk: &mut impl Disk, segment: &Segment, last_frame: &[u8]) -> Result<(), LogError> {
    let file = segment.name.to_string();
    let failed = |step, source| LogError::Disk { step, file: file.clone(), source };
    let offset = segment.len() - last_frame.len() as u64;
    match disk.rewrite(&file, offset, last_frame) {
        Ok(()) => {}
        // Some file systems put what is written over elsewhere, and need room for it.
        Err(source) if is_full(&source) => return Err(LogError::Full { file, source }),
        Err(source) => return Err(failed(Step::Rewrite, source)),
    }
    disk.sync(&file).map_err(|source| failed(Step::Sync, source))
}

/// Goes through the segments.
struct Reader {
    identity: Identity,
    replay: Option<Replay>,
    segments: VecDeque<Segment>,
    torn: Option<Torn>,
    /// The bytes of the last frame that is whole, and of the header of its segment when it is the first.
    last_frame: Vec<u8>,
}

impl Reader {
    fn read(&mut self, name: SegmentName, file: &[u8], is_last: bool) -> Result<(), LogError> {
        let mut segment = Segment::new(name);
        let is_torn = loop {
            match next_payload(file, &mut segment, is_last)? {
                Next::Payload(payload, offset) => {
                    let is_first = offset == SEGMENT_HEADER_LEN;
                    if is_first {
                        self.start(name, payload.start.as_ref(), offset)?;
                    }
                    let last_index = self.apply(*payload, is_first);
                    let last_index = last_index.map_err(|what| LogError::damaged(name, offset, what))?;
                    segment.last_index = segment.last_index.max(last_index);
                }
                Next::End => break false,
                Next::Torn => break true,
            }
        };
        let len = file.len() as u64;
        if segment.frame_count == 0 {
            explain_no_frame(name, self.segments.back())?;
            self.torn = Some(Torn { name, whole_len: 0, len });
            return Ok(());
        }
        if is_torn {
            self.torn = Some(Torn { name, whole_len: segment.len(), len });
        }
        self.last_frame = segment.last_frame(file).to_vec();
        self.segments.push_back(segment);
        Ok(())
    }

    /// Takes what the first frame of a segment says of what was before.
    fn start(&mut self, name: SegmentName, start: Option<&Start>, offset: usize) -> Result<(), LogError> {
        let start = start.ok_or_else(|| LogError::damaged(name, offset, Damage::NoStart))?;
        let (expected, found) = (self.identity, start.identity());
        if found != expected {
            return Err(LogError::OtherIdentity { expected, found });
        }
        match &self.replay {
            Some(replay) if replay.agrees_with(start) => Ok(()),
            Some(_) => Err(LogError::damaged(name, offset, Damage::StartDiffers)),
            None => {
                let replay = Replay::new(start, name.first_index);
                self.replay = Some(replay.map_err(|what| LogError::damaged(name, offset, what))?);
                Ok(())
            }
        }
    }

    fn apply(&mut self, payload: Payload, is_first: bool) -> Result<u64, Damage> {
        if !is_first && payload.start.is_some() {
            return Err(Damage::StartInside);
        }
        let replay = self.replay.as_mut().ok_or(Damage::NoStart)?;
        replay.apply(payload)
    }
}

/// Whether a crash explains that the last segment has no frame: it was being cut, and what was before it is there.
fn explain_no_frame(name: SegmentName, before: Option<&Segment>) -> Result<(), LogError> {
    if name.sequence > 0 && before.is_none() {
        return Err(LogError::damaged(name, 0, Damage::NoFirstFrame));
    }
    Ok(())
}

/// What comes next in a segment.
enum Next {
    /// What a frame says that is whole, and where it begins.
    Payload(Box<Payload>, usize),
    /// Nothing, after at least one frame.
    End,
    /// What a crash makes of a frame that it interrupts.
    Torn,
}

/// Reads the next frame of a segment and goes past it. What is torn where it must not be is damaged.
fn next_payload(file: &[u8], segment: &mut Segment, is_last: bool) -> Result<Next, LogError> {
    let name = segment.name;
    let damaged = |offset, what| LogError::damaged(name, offset, what);
    let place = segment.end();
    let follower = |offset| Place { offset, number: place.number.wrapping_add(1), ..place };
    if segment.frame_count == 0 {
        match frame::look_at_segment_header(file, name) {
            Look::Frame { .. } => {}
            Look::Torn { rest } => return torn(file, name, 0, Place { offset: rest, ..place }, is_last),
            Look::End => return torn(file, name, 0, place, is_last),
            Look::Damaged(what) => return Err(damaged(0, what)),
        }
    }
    match frame::look(file, place) {
        Look::Frame { marked, end } => {
            let payload = frame::without_marks(marked, place.offset + FRAME_HEADER_LEN);
            let payload =
                Payload::decode(payload.as_slice()).map_err(|_| damaged(place.offset, Damage::Payload))?;
            segment.grow(end);
            Ok(Next::Payload(Box::new(payload), place.offset))
        }
        Look::End if segment.frame_count > 0 => Ok(Next::End),
        Look::End => torn(file, name, place.offset, place, is_last),
        Look::Torn { rest } => torn(file, name, place.offset, follower(rest), is_last),
        Look::Damaged(what) => Err(damaged(place.offset, what)),
    }
}

/// What a crash makes of a frame is one only in the last segment, and only if no frame follows: each was begun when the one
/// before was synced.
fn torn(
    file: &[u8],
    name: SegmentName,
    offset: usize,
    follower: Place,
    is_last: bool,
) -> Result<Next, LogError> {
    if !is_last {
        return Err(LogError::damaged(name, offset, Damage::TornInside));
    }
    if let Some((at, number)) = frame::find_header(file, follower) {
        let what = Damage::FrameFollows { number, offset: at as u64 };
        return Err(LogError::damaged(name, offset, what));
    }
    Ok(Next::Torn)
}
