//! Reading values of a peer within limits: first a look over the bytes that counts, then `prost`.
//!
//! What `prost` derives allocates for whatever is there, and a value of two bytes on the wire may take fifty here. It cannot be
//! told to stop, so its input is looked over before. The look allocates nothing, steps over payloads, and goes into those nested
//! messages only that hold something to count; they are known by a [`Shape`], and so is how deep they nest. What is wrong with
//! the bytes it learns from the same functions that `prost` then uses, so both stop at the same place.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{
    ConfChange, ConfChangeSingle, ConfChangeV2, ConfState, DecodeError, Entry, HardState, Message, Snapshot,
    SnapshotMetadata,
};
use crate::limits::{GROUP_DEPTH_MAX, RaftLimits};
use sealed::{Counted, Part, Shape, Shaped};

/// A type of this module: what [`decode`] and [`encode`](super::encode) take.
pub trait Raftpb: prost::Message + Default + Shaped {}

impl<T: prost::Message + Default + Shaped> Raftpb for T {}

/// Reads a value from all of `bytes`. Payloads are copied out of them. Sections "Messages", "Dialects"
/// and "Limits".
///
/// ```
/// use dunlin_rafthttp::RaftLimits;
/// use dunlin_rafthttp::raftpb::{self, Message, MessageType};
///
/// // A vote, in the dialect that leaves zeros out.
/// let vote: Message = raftpb::decode(&[0x08, 6, 0x10, 1, 0x18, 3, 0x20, 2], &RaftLimits::DEFAULT)?;
/// assert_eq!(vote.msg_type(), Ok(MessageType::VoteResp));
/// assert_eq!((vote.from, vote.to, vote.term, vote.reject), (3, 1, 2, false));
/// # Ok::<(), raftpb::DecodeError>(())
/// ```
///
/// # Errors
///
/// [`DecodeError`] when the bytes go over a limit, before anything was allocated, or are not such a value.
pub fn decode<T: Raftpb>(bytes: &[u8], limits: &RaftLimits) -> Result<T, DecodeError> {
    let (message_len, message_len_max) = (bytes.len(), limits.message_len_max);
    if message_len > message_len_max {
        return Err(DecodeError::TooLong { message_len, message_len_max });
    }
    Look { limits, entries: 0, members: 0 }.walk(T::SHAPE, bytes)?;
    Ok(T::decode(bytes)?)
}

/// One look over the bytes, and what was counted so far. The same field may come again and again, and lists then grow on.
struct Look<'l> {
    limits: &'l RaftLimits,
    entries: usize,
    members: usize,
}

impl Look<'_> {
    /// Goes through the fields of one message. It calls itself for nested ones, as deep as shapes nest: four levels.
    fn walk(&mut self, shape: &Shape, mut rest: &[u8]) -> Result<(), DecodeError> {
        let mut group_depth = 0;
        while !rest.is_empty() {
            let (number, wire_type) = decode_key(&mut rest)?;
            match wire_type {
                WireType::StartGroup => {
                    group_depth += 1;
                    if group_depth > GROUP_DEPTH_MAX {
                        return Err(DecodeError::GroupsTooDeep);
                    }
                }
                // Whether it ends the group that was begun last, prost sees.
                WireType::EndGroup if group_depth > 0 => group_depth -= 1,
                _ => {
                    let field_and_rest = rest;
                    skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
                    let (field, _) = field_and_rest.split_at(field_and_rest.len() - rest.len());
                    if group_depth == 0 {
                        self.count_field(shape, number, wire_type, field)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts what is in one field of a message of this shape. One of a wrong type is left to prost, which refuses it.
    fn count_field(
        &mut self,
        shape: &Shape,
        number: u32,
        wire_type: WireType,
        mut field: &[u8],
    ) -> Result<(), DecodeError> {
        let Some((_, part)) = shape.0.iter().find(|(known, _)| *known == number) else { return Ok(()) };
        if wire_type == WireType::Varint && matches!(part, Part::Members) {
            return self.count(Counted::Members, 1);
        }
        if wire_type != WireType::LengthDelimited {
            return Ok(());
        }
        // What is left after the length is the body: it was stepped over as such.
        decode_varint(&mut field)?;
        match part {
            Part::Nested(shape) => self.walk(shape, field),
            Part::Counted(counted, shape) => {
                self.count(*counted, 1)?;
                self.walk(shape, field)
            }
            // Packed: the last byte of each number has no high bit.
            Part::Members => {
                self.count(Counted::Members, field.iter().filter(|byte| byte.is_ascii()).count())
            }
        }
    }

    fn count(&mut self, counted: Counted, more: usize) -> Result<(), DecodeError> {
        let count = match counted {
            Counted::Entries => &mut self.entries,
            Counted::Members => &mut self.members,
        };
        *count += more;
        let (max, over) = counted.limit(self.limits);
        if *count > max { Err(over) } else { Ok(()) }
    }
}

impl Shaped for Message {
    const SHAPE: &'static Shape =
        &Shape(&[(7, Part::Counted(Counted::Entries, Entry::SHAPE)), (9, Part::Nested(Snapshot::SHAPE))]);
}

impl Shaped for Entry {
    const SHAPE: &'static Shape = &Shape(&[]);
}

impl Shaped for Snapshot {
    const SHAPE: &'static Shape = &Shape(&[(2, Part::Nested(SnapshotMetadata::SHAPE))]);
}

impl Shaped for SnapshotMetadata {
    const SHAPE: &'static Shape = &Shape(&[(1, Part::Nested(ConfState::SHAPE))]);
}

impl Shaped for ConfState {
    const SHAPE: &'static Shape =
        &Shape(&[(1, Part::Members), (2, Part::Members), (3, Part::Members), (4, Part::Members)]);
}

impl Shaped for HardState {
    const SHAPE: &'static Shape = &Shape(&[]);
}

impl Shaped for ConfChange {
    const SHAPE: &'static Shape = &Shape(&[]);
}

impl Shaped for ConfChangeSingle {
    const SHAPE: &'static Shape = &Shape(&[]);
}

impl Shaped for ConfChangeV2 {
    const SHAPE: &'static Shape = &Shape(&[(2, Part::Counted(Counted::Members, ConfChangeSingle::SHAPE))]);
}

mod sealed {
    //! What the look over the bytes must know of a type; nobody else may have one.

    use super::DecodeError;
    use crate::limits::RaftLimits;

    /// A type that has a shape.
    pub trait Shaped {
        /// Its shape.
        const SHAPE: &'static Shape;
    }

    /// The fields of a type that hold something to count, by their numbers. All others are stepped over.
    #[derive(Debug)]
    pub struct Shape(pub(super) &'static [(u32, Part)]);

    /// What there is in a field.
    #[derive(Debug)]
    pub(super) enum Part {
        /// A message that is there at most once, as far as its type is concerned.
        Nested(&'static Shape),
        /// A message for each element of a list.
        Counted(Counted, &'static Shape),
        /// Members by their numbers, one or many.
        Members,
    }

    /// What is counted.
    #[derive(Debug, Clone, Copy)]
    pub(super) enum Counted {
        Entries,
        Members,
    }

    impl Counted {
        /// How many there may be, and what is said when there are more.
        pub(super) fn limit(self, limits: &RaftLimits) -> (usize, DecodeError) {
            let RaftLimits { entries_max, members_max, .. } = *limits;
            match self {
                Self::Entries => (entries_max, DecodeError::TooManyEntries { entries_max }),
                Self::Members => (members_max, DecodeError::TooManyMembers { members_max }),
            }
        }
    }
}
