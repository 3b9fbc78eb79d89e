//! The reading side: bytes in, appends and link heartbeats out.

use super::{APPEND, LINK_HEARTBEAT, MESSAGE, MsgAppError, Place, StreamEnds};
use crate::codec::StreamEvent;
use crate::codec::gather::Gather;
use crate::limits::RaftLimits;
use crate::raftpb::{self, Entry, Message};

/// Takes appends out of a msgapp stream that comes in pieces of any size. One for each connection, because the place begins anew
/// with it. Section "The msgapp stream".
///
/// ```
/// use dunlin_rafthttp::{MsgAppDecoder, RaftLimits, StreamEnds, StreamEvent};
///
/// let mut decoder = MsgAppDecoder::new(StreamEnds { from: 1, to: 2 }, RaftLimits::DEFAULT);
/// let mut input: &[u8] = &[0, 9];
/// assert_eq!(decoder.decode(&mut input), Ok(Some(StreamEvent::LinkHeartbeat)));
/// assert!(decoder.decode(&mut input).is_err()); // There is no item that begins with 9.
/// ```
#[derive(Debug)]
pub struct MsgAppDecoder {
    ends: StreamEnds,
    limits: RaftLimits,
    pub(super) place: Place,
    gather: Gather,
    step: Step,
    batch: Batch,
}

/// What has to come next.
#[derive(Debug, Clone, Copy)]
enum Step {
    FirstByte,
    EntryCount,
    EntryLen,
    Entry { entry_len: usize },
    Commit,
    MessageLen,
    Message { message_len: usize },
}

/// The entries of an append in the short form, as far as they came.
#[derive(Debug, Default)]
struct Batch {
    /// How many have to come.
    missing: usize,
    /// The bytes of those that came or were announced.
    entries_len: usize,
    entries: Vec<Entry>,
    /// Where the place is behind all of them.
    place_after: Place,
}

impl Batch {
    const fn next_step(&self) -> Step {
        if self.missing == 0 { Step::Commit } else { Step::EntryLen }
    }
}

impl MsgAppDecoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(ends: StreamEnds, limits: RaftLimits) -> Self {
        Self {
            ends,
            limits,
            place: Place::default(),
            gather: Gather::default(),
            step: Step::FirstByte,
            batch: Batch::default(),
        }
    }

    /// Takes the next append or link heartbeat from the front of `input` and advances it, or `None` when all of `input` was
    /// taken and more must come. A whole message is passed on whatever its type.
    ///
    /// # Errors
    ///
    /// [`MsgAppError`] when the peer broke the protocol or a limit. The bytes after that mean nothing: the decoder is spent and
    /// the connection has to end.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<StreamEvent>, MsgAppError> {
        loop {
            self.step = match self.step {
                Step::FirstByte => {
                    let Some((&first_byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    match first_byte {
                        LINK_HEARTBEAT => return Ok(Some(StreamEvent::LinkHeartbeat)),
                        APPEND => Step::EntryCount,
                        MESSAGE => Step::MessageLen,
                        _ => return Err(MsgAppError::UnknownItem { first_byte }),
                    }
                }
                Step::EntryCount => {
                    let Some(entries) = self.gather.take_u64(input) else { return Ok(None) };
                    self.begin_batch(entries)?
                }
                Step::EntryLen => {
                    let Some(entry_len) = self.gather.take_u64(input) else { return Ok(None) };
                    self.begin_entry(entry_len)?
                }
                Step::Entry { entry_len } => {
                    let Some(bytes) = self.gather.take(input, entry_len) else { return Ok(None) };
                    self.end_entry(&bytes)?
                }
                Step::Commit => {
                    let Some(commit) = self.gather.take_u64(input) else { return Ok(None) };
                    return Ok(Some(self.end_batch(commit)));
                }
                Step::MessageLen => {
                    let Some(message_len) = self.gather.take_u64(input) else { return Ok(None) };
                    self.begin_message(message_len)?
                }
                Step::Message { message_len } => {
                    let Some(bytes) = self.gather.take(input, message_len) else { return Ok(None) };
                    return self.end_message(&bytes).map(Some);
                }
            }
        }
    }

    /// Bytes held of a number, entry or message whose end has not come; 0 between items. Entries that came whole and wait for
    /// the rest of their append are not among them.
    #[must_use]
    pub fn buffered_len(&self) -> usize {
        self.gather.len()
    }

    /// Whether the stream stands between two items, where it may end without loss.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.step, Step::FirstByte)
    }

    fn begin_batch(&mut self, entries: u64) -> Result<Step, MsgAppError> {
        let entries_max = self.limits.entries_max;
        let few = usize::try_from(entries).ok().filter(|entries| *entries <= entries_max);
        let missing = few.ok_or(MsgAppError::TooManyEntries { entries, entries_max })?;
        let index = self.place.index;
        let place_after = self.place.plus(entries).ok_or(MsgAppError::IndexOverflow { index, entries })?;
        // Room is made as entries come: each announced one costs its sender eight bytes at least.
        self.batch = Batch { missing, entries_len: 0, entries: Vec::new(), place_after };
        Ok(self.batch.next_step())
    }

    fn begin_entry(&mut self, entry_len: u64) -> Result<Step, MsgAppError> {
        let entries_len_max = self.limits.message_len_max;
        let entries_len = entry_len.saturating_add(self.batch.entries_len as u64);
        let short = usize::try_from(entries_len).ok().filter(|len| *len <= entries_len_max);
        let short = short.ok_or(MsgAppError::EntriesTooLong { entries_len, entries_len_max })?;
        let entry_len = short - self.batch.entries_len;
        self.batch.entries_len = short;
        Ok(Step::Entry { entry_len })
    }

    fn end_entry(&mut self, bytes: &[u8]) -> Result<Step, MsgAppError> {
        let position = self.batch.entries.len();
        let entry =
            raftpb::decode(bytes, &self.limits).map_err(|source| MsgAppError::Entry { position, source })?;
        self.batch.entries.push(entry);
        self.batch.missing -= 1;
        Ok(self.batch.next_step())
    }

    fn end_batch(&mut self, commit: u64) -> StreamEvent {
        let batch = std::mem::take(&mut self.batch);
        let message = Message { entries: batch.entries, ..self.place.message(self.ends, commit) };
        self.place = batch.place_after;
        self.step = Step::FirstByte;
        StreamEvent::Message(message)
    }

    fn begin_message(&self, message_len: u64) -> Result<Step, MsgAppError> {
        let message_len_max = self.limits.message_len_max;
        let short = usize::try_from(message_len).ok().filter(|len| *len <= message_len_max);
        let message_len = short.ok_or(MsgAppError::MessageTooLong { message_len, message_len_max })?;
        Ok(Step::Message { message_len })
    }

    fn end_message(&mut self, bytes: &[u8]) -> Result<StreamEvent, MsgAppError> {
        let message: Message =
            raftpb::decode(bytes, &self.limits).map_err(|source| MsgAppError::Message { source })?;
        self.place = Place::after(&message);
        self.step = Step::FirstByte;
        Ok(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_entries_take_no_memory_before_they_come() {
        let mut decoder = MsgAppDecoder::new(StreamEnds { from: 1, to: 2 }, RaftLimits::DEFAULT);
        let begun = [&[APPEND], &200_000_u64.to_be_bytes()[..], &(1_u64 << 20).to_be_bytes()].concat();
        assert_eq!(decoder.decode(&mut begun.as_slice()), Ok(None));
        assert_eq!((decoder.batch.entries.capacity(), decoder.buffered_len()), (0, 0));
        assert!(!decoder.is_idle());
    }
}
