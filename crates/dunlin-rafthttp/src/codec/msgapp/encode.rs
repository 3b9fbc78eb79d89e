//! The writing side: messages in, the shortest form of each out.

use bytes::{BufMut, BytesMut};

use super::{APPEND, LINK_HEARTBEAT, MESSAGE, Place, StreamEnds};
use crate::codec::{EncodeError, Output, check_lens, check_message, put_len, put_message};
use crate::limits::RaftLimits;
use crate::raftpb::{self, Message, MessageType};

/// Writes a msgapp stream. One for each connection, because the place begins anew with it. Section "The msgapp stream".
///
/// ```
/// use bytes::BytesMut;
/// use dunlin_rafthttp::raftpb::{Message, MessageType};
/// use dunlin_rafthttp::{MsgAppEncoder, RaftLimits, StreamEnds};
///
/// let mut encoder = MsgAppEncoder::new(StreamEnds { from: 1, to: 2 }, RaftLimits::DEFAULT);
/// let append = Message { msg_type: MessageType::App.into(), from: 1, to: 2, term: 3, log_term: 3, index: 7, ..Message::default() };
/// let mut out = BytesMut::new();
/// encoder.encode(&append, &mut out)?; // A whole message: the stream has no place yet.
/// out.clear();
/// encoder.encode(&append, &mut out)?; // It goes on where the last one ended: no entries, commit 0.
/// assert_eq!(out[..], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
/// # Ok::<(), dunlin_rafthttp::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct MsgAppEncoder {
    ends: StreamEnds,
    limits: RaftLimits,
    pub(super) place: Place,
}

impl MsgAppEncoder {
    /// An encoder at the beginning of a stream.
    #[must_use]
    pub fn new(ends: StreamEnds, limits: RaftLimits) -> Self {
        Self { ends, limits, place: Place::default() }
    }

    /// Appends an append or a link heartbeat.
    ///
    /// The short form is taken where the append goes on where the last one ended and says nothing that the short form would lose.
    /// etcd takes it without that second look; a peer reads either form.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the message is none of the two or over a limit; `out` and the encoder are then as they were.
    pub fn encode(&mut self, message: &Message, out: &mut impl Output) -> Result<(), EncodeError> {
        if message.is_link_heartbeat() {
            out.buffer().put_u8(LINK_HEARTBEAT);
            return Ok(());
        }
        if !message.is(MessageType::App) {
            return Err(EncodeError::NotAppend { msg_type: message.msg_type });
        }
        self.place = match self.place_after_short(message) {
            Some(place) => {
                self.encode_short(message, out)?;
                place
            }
            None => {
                self.encode_whole(message, out.buffer())?;
                Place::after(message)
            }
        };
        Ok(())
    }

    /// Where the place is after this append in the short form, or `None` where it must not be taken.
    fn place_after_short(&self, message: &Message) -> Option<Place> {
        let short = self.place.message(self.ends, message.commit);
        let is_lossless = is_equal_but_for_entries(message, &short);
        is_lossless.then(|| self.place.plus(message.entries.len() as u64)).flatten()
    }

    fn encode_short(&self, message: &Message, out: &mut impl Output) -> Result<(), EncodeError> {
        let entries = &message.entries;
        let entries_len = entries.iter().map(raftpb::encoded_len).sum();
        check_lens(entries_len, self.limits.message_len_max, entries.len(), &self.limits)?;
        let buffer = out.buffer();
        buffer.put_u8(APPEND);
        put_len(entries.len(), buffer);
        for entry in entries {
            put_len(raftpb::encoded_len(entry), out.buffer());
            raftpb::encode_entry(entry, out);
        }
        out.buffer().put_u64(message.commit);
        Ok(())
    }

    fn encode_whole(&self, message: &Message, out: &mut BytesMut) -> Result<(), EncodeError> {
        let message_len = check_message(message, self.limits.message_len_max, &self.limits)?;
        out.put_u8(MESSAGE);
        put_message(message, message_len, out);
        Ok(())
    }
}

/// Compares everything but the entries, of which the second message has none.
fn is_equal_but_for_entries(message: &Message, bare: &Message) -> bool {
    let Message {
        msg_type,
        to,
        from,
        term,
        log_term,
        index,
        entries: _,
        commit,
        snapshot,
        reject,
        reject_hint,
        context,
    } = message;
    (*msg_type, *to, *from) == (bare.msg_type, bare.to, bare.from)
        && (*term, *log_term, *index, *commit) == (bare.term, bare.log_term, bare.index, bare.commit)
        && (*reject, *reject_hint, context) == (bare.reject, bare.reject_hint, &bare.context)
        && *snapshot == bare.snapshot
}
