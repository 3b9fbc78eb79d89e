//! The types of Raft on the wire: what etcd calls raftpb, written by hand.
//!
//! Fields and numbers are etcd's, not those of the Rust crate `raft`, whose enumeration of configuration changes differs: read by
//! its types an update of a member makes a learner of it. Sections "Messages" and "Dialects" of `docs/protocol/raft.md`.
//!
//! We write the dialect of etcd 3.4 and 3.5, in which every number and the snapshot are written even when they are zero, and read
//! all of them. Fields 13 to 16 of a message mean different things to different writers: they are skipped, and never written.
//!
//! Bytes of a peer are read with [`decode`] and not with what `prost` derives: it is [`decode`] that knows of limits.
//! Read next: `raftpb/decode.rs`, how they are kept.
//!
//! Invariants: enumerations are kept as the integers that came, so one that we do not know goes through unchanged and is named
//! when asked for; unknown fields are skipped; payloads are copied out of the input, so that a short entry never keeps a long
//! buffer alive.

mod change;
mod decode;
mod entry;
mod error;
mod message;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::codec::Output;

pub use change::{ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};
pub use decode::{Raftpb, decode};
pub use entry::{Entry, EntryType};
pub use error::{DecodeError, UnknownValue};
pub use message::{Message, MessageType};
pub use snapshot::{Snapshot, SnapshotMetadata};
pub use state::{ConfState, HardState};

/// The field of an entry's data.
const ENTRY_DATA_TAG: u32 = 4;

/// How many bytes [`encode`] appends.
#[must_use]
pub fn encoded_len(value: &impl Raftpb) -> usize {
    value.encoded_len()
}

/// Appends the value in the dialect of etcd 3.4 and 3.5. Section "Dialects".
pub fn encode(value: &impl Raftpb, out: &mut BytesMut) {
    out.reserve(value.encoded_len());
    // The checked variant fails for a full buffer only, and this one grows.
    value.encode_raw(out);
}

/// Appends an entry in that dialect, its data as the output takes data.
pub(crate) fn encode_entry(entry: &Entry, out: &mut impl Output) {
    // The data is the last field, so an entry is what it is without, and then that.
    let bare = Entry { data: Bytes::new(), ..*entry };
    let buffer = out.buffer();
    bare.encode_raw(buffer);
    if !entry.data.is_empty() {
        encode_key(ENTRY_DATA_TAG, WireType::LengthDelimited, buffer);
        encode_varint(entry.data.len() as u64, buffer);
        out.put_data(&entry.data);
    }
}
