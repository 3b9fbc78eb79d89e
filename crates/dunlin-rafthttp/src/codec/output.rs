//! Where the encoders write: into one buffer, or into pieces in which long data is shared instead of copied.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits::SHARED_DATA_LEN_MIN;

/// Takes what an encoder writes, in order.
pub trait Output {
    /// The buffer that goes on where everything before ended. Only its end may be changed.
    fn buffer(&mut self) -> &mut BytesMut;

    /// Appends data, which may be kept instead of copied.
    fn put_data(&mut self, data: &Bytes);
}

impl Output for BytesMut {
    fn buffer(&mut self) -> &mut BytesMut {
        self
    }

    fn put_data(&mut self, data: &Bytes) {
        self.extend_from_slice(data);
    }
}

/// Bytes in pieces: what is short lies in one buffer, data from [`SHARED_DATA_LEN_MIN`] bytes on is a piece of its own.
#[derive(Debug, Default)]
pub struct Pieces {
    done: VecDeque<Bytes>,
    last: BytesMut,
}

impl Pieces {
    /// None yet, with room for so many bytes besides those that are shared.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { done: VecDeque::new(), last: BytesMut::with_capacity(capacity) }
    }

    /// Takes the piece that is first; none is empty.
    pub fn pop(&mut self) -> Option<Bytes> {
        if let Some(first) = self.done.pop_front() {
            return Some(first);
        }
        (!self.last.is_empty()).then(|| self.last.split().freeze())
    }
}

impl Output for Pieces {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.last
    }

    fn put_data(&mut self, data: &Bytes) {
        if data.len() < SHARED_DATA_LEN_MIN {
            self.last.extend_from_slice(data);
            return;
        }
        if !self.last.is_empty() {
            self.done.push_back(self.last.split().freeze());
        }
        self.done.push_back(data.clone());
    }
}
