//! One entry of the log.

use bytes::Bytes;

use super::UnknownValue;

/// What the data of an entry is. Section "Messages".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum EntryType {
    /// The application's, or nothing: a new leader begins its term with an empty one.
    Normal = 0,
    /// A [`ConfChange`](super::ConfChange).
    ConfChange = 1,
    /// A [`ConfChangeV2`](super::ConfChangeV2).
    ConfChangeV2 = 2,
}

/// One entry of the log. Section "Messages".
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// An [`EntryType`] as it came; see [`Entry::entry_type`].
    #[prost(int32, required, tag = "1")]
    pub entry_type: i32,
    /// The term of the leader that proposed it.
    #[prost(uint64, required, tag = "2")]
    pub term: u64,
    /// Its place in the log, from 1 on; 0 while it is proposed.
    #[prost(uint64, required, tag = "3")]
    pub index: u64,
    /// What it says; opaque here. Empty is not written.
    #[prost(bytes = "bytes", tag = "4")]
    pub data: Bytes,
}

impl Entry {
    /// What the data is.
    ///
    /// # Errors
    ///
    /// [`UnknownValue::EntryType`] for an integer that we do not know.
    pub fn entry_type(&self) -> Result<EntryType, UnknownValue> {
        let value = self.entry_type;
        EntryType::try_from(value).map_err(|_| UnknownValue::EntryType { value })
    }
}
