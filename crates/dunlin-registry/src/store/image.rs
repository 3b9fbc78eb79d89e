//! A store as bytes, and back: what a snapshot's database is.
//!
//! Records, each after its length in four bytes (little-endian): what the store is, then everything in it in order, then the end
//! with a checksum over all that was before. Equal stores have equal bytes, so the checksum of an image says whether two members
//! are equal at an index.

use std::io::{self, Read};

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use super::client::{Clients, Last, Remembered};
use super::command::{Answered, KeyValue};
use super::history::History;
use super::lease::LeaseLook;
use super::members::Member;
use super::refusal::Refusal;
use super::{Store, StoreError};

/// The form of images that this version writes and reads.
const VERSION: u32 = 1;

/// Bytes of a record: a key with its value and some numbers, or an answer that is remembered.
const RECORD_LEN_MAX: usize = 2 * 1024 * 1024;

/// Bytes of records that are given at a time, about.
const CHUNK_LEN: usize = 64 * 1024;

/// One record.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(oneof = "Content", tags = "1, 2, 3, 4, 5, 6, 7")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(message, tag = "1")]
    Head(Head),
    #[prost(message, tag = "2")]
    Key(KeyValue),
    #[prost(message, tag = "3")]
    Lease(StoredLease),
    #[prost(message, tag = "4")]
    Client(StoredClient),
    #[prost(message, tag = "5")]
    Member(Member),
    #[prost(uint64, tag = "6")]
    Removed(u64),
    #[prost(message, tag = "7")]
    End(End),
}

#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint64, tag = "2")]
    applied: u64,
    #[prost(uint64, tag = "3")]
    revision: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredLease {
    #[prost(uint64, tag = "1")]
    lease: u64,
    #[prost(uint64, tag = "2")]
    ttl_ms: u64,
    #[prost(uint64, tag = "3")]
    renewed_at: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredClient {
    #[prost(uint64, tag = "1")]
    client: u64,
    #[prost(uint64, tag = "2")]
    sequence: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
    #[prost(oneof = "StoredOutcome", tags = "4, 5, 6")]
    outcome: Option<StoredOutcome>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum StoredOutcome {
    #[prost(message, tag = "4")]
    Answered(Answered),
    #[prost(uint64, tag = "5")]
    Gone(u64),
    #[prost(message, tag = "6")]
    Refused(Refusal),
}

#[derive(Clone, PartialEq, Message)]
struct End {
    // Of fixed length: in a varint some bits mean nothing, and could be changed unseen.
    #[prost(fixed64, tag = "1")]
    records: u64,
    #[prost(fixed32, tag = "2")]
    checksum: u32,
}

/// Why bytes are no image of a store. Nothing is kept of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// They could not be read.
    #[error("an image cannot be read")]
    Read(#[source] io::Error),
    /// They end before the image does.
    #[error("an image ends after {records} records, before its end")]
    CutShort {
        /// Records that were whole.
        records: u64,
    },
    /// A record is longer than records are.
    #[error("record {position} of an image has {record_len} bytes, over the limit of {RECORD_LEN_MAX}")]
    RecordTooLong {
        /// Which.
        position: u64,
        /// Its length.
        record_len: u32,
    },
    /// A record is none, or stands where it must not.
    #[error("record {position} of an image cannot be understood")]
    Record {
        /// Which.
        position: u64,
    },
    /// The image is of a newer form.
    #[error("an image of version {version} is newer than {VERSION}, which this program reads")]
    Version {
        /// Its version.
        version: u32,
    },
    /// The bytes were changed on their way or on the disk.
    #[error("the checksum of an image is wrong")]
    Checksum,
}

/// A store as it was at an index. Making one costs next to nothing, and reading it does not keep the store from going on.
#[derive(Debug)]
pub struct Image {
    store: Store,
}

impl Store {
    /// The store as it is now.
    #[must_use]
    pub fn image(&self) -> Image {
        Image { store: self.clone() }
    }

    /// Reads an image. Events before it are not in it, so watches that are behind it have to begin anew.
    ///
    /// # Errors
    ///
    /// [`ImageError`] for the first thing that is wrong.
    pub fn from_image(input: &mut impl Read) -> Result<Self, ImageError> {
        let mut reader = Reader { input, hasher: crc32fast::Hasher::new(), records: 0 };
        let mut store = Self::from_head(&mut reader)?;
        loop {
            let position = reader.records;
            let (content, checksum) = reader.next()?;
            if let Content::End(end) = content {
                let is_whole = end.records == position && end.checksum == checksum;
                return if is_whole { Ok(store) } else { Err(ImageError::Checksum) };
            }
            store.restore(content).ok_or(ImageError::Record { position })?;
        }
    }

    /// Reads of an image who is in the group, which comes first. Whether the rest of it is as it was written is not known then.
    pub(crate) fn members_from_image(input: &mut impl Read) -> Result<Self, ImageError> {
        let mut reader = Reader { input, hasher: crc32fast::Hasher::new(), records: 0 };
        let mut store = Self::from_head(&mut reader)?;
        loop {
            match reader.next()?.0 {
                Content::Member(member) => store.members.restore(member),
                Content::Removed(id) => store.members.restore_removed(id),
                _ => return Ok(store),
            }
        }
    }

    /// An empty store at the place of the image.
    fn from_head(reader: &mut Reader<'_, impl Read>) -> Result<Self, ImageError> {
        let (first, _) = reader.next()?;
        let Content::Head(head) = first else { return Err(ImageError::Record { position: 0 }) };
        if head.version != VERSION {
            return Err(ImageError::Version { version: head.version });
        }
        Ok(Self {
            applied: head.applied,
            revision: head.revision,
            history: History::after(head.revision),
            ..Self::new()
        })
    }

    fn restore(&mut self, content: Content) -> Option<()> {
        match content {
            Content::Key(entry) => {
                self.leases.attach(entry.lease, &entry.key);
                self.keys.restore(entry);
            }
            Content::Lease(StoredLease { lease, ttl_ms, renewed_at }) => {
                self.leases.restore(LeaseLook { lease, ttl_ms, renewed_at });
            }
            Content::Client(stored) => restore_client(&mut self.clients, stored)?,
            Content::Member(member) => self.members.restore(member),
            Content::Removed(id) => self.members.restore_removed(id),
            Content::Head(_) | Content::End(_) => return None,
        }
        Some(())
    }

    /// Everything but head and end. Leases come before the keys that are put under them.
    fn contents(&self) -> impl Iterator<Item = Content> + '_ {
        let members = self.members.iter().cloned().map(Content::Member);
        let removed = self.members.removed().map(Content::Removed);
        let lease = |LeaseLook { lease, ttl_ms, renewed_at }| {
            Content::Lease(StoredLease { lease, ttl_ms, renewed_at })
        };
        let clients = self.clients.iter().map(|(client, last)| Content::Client(store_client(client, last)));
        let keys = self.keys.iter().map(Content::Key);
        members.chain(removed).chain(self.leases.iter().map(lease)).chain(clients).chain(keys)
    }
}

impl Image {
    /// The index of the last entry in it.
    #[must_use]
    pub const fn applied(&self) -> u64 {
        self.store.applied
    }

    /// Its bytes, in pieces.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + '_ {
        let Store { applied, revision, .. } = self.store;
        let head = Content::Head(Head { version: VERSION, applied, revision });
        let mut contents = std::iter::once(head).chain(self.store.contents()).fuse();
        let (mut hasher, mut records, mut is_over) = (crc32fast::Hasher::new(), 0, false);
        std::iter::from_fn(move || {
            let mut chunk = BytesMut::new();
            while chunk.len() < CHUNK_LEN && !is_over {
                let content = contents.next().unwrap_or_else(|| {
                    is_over = true;
                    Content::End(End { records, checksum: hasher.clone().finalize() })
                });
                let begin = chunk.len();
                put(content, &mut chunk);
                hasher.update(chunk.get(begin..).unwrap_or_default());
                records += 1;
            }
            (!chunk.is_empty()).then(|| chunk.freeze())
        })
    }

    /// A number that equal stores have in common, and others hardly ever.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        self.chunks().for_each(|chunk| hasher.update(&chunk));
        hasher.finalize()
    }
}

fn put(content: Content, out: &mut BytesMut) {
    let record = Record { content: Some(content) };
    let len = record.encoded_len();
    // Records are made of parts that have limits, all far below the end of the range.
    out.put_u32_le(u32::try_from(len).unwrap_or(u32::MAX));
    out.reserve(len);
    record.encode_raw(out);
}

struct Reader<'a, R> {
    input: &'a mut R,
    hasher: crc32fast::Hasher,
    records: u64,
}

impl<R: Read> Reader<'_, R> {
    /// The next record, with the checksum of all before it.
    fn next(&mut self) -> Result<(Content, u32), ImageError> {
        let checksum = self.hasher.clone().finalize();
        let mut len = [0; 4];
        self.fill(&mut len)?;
        let record_len = u32::from_le_bytes(len);
        let position = self.records;
        let short = usize::try_from(record_len).ok().filter(|len| *len <= RECORD_LEN_MAX);
        let mut record = vec![0; short.ok_or(ImageError::RecordTooLong { position, record_len })?];
        self.fill(&mut record)?;
        self.records += 1;
        let record = Record::decode(&record[..]).map_err(|_| ImageError::Record { position })?;
        Ok((record.content.ok_or(ImageError::Record { position })?, checksum))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ImageError> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ImageError::CutShort { records: self.records },
            _ => ImageError::Read(error),
        })?;
        self.hasher.update(buffer);
        Ok(())
    }
}

fn store_client(client: u64, last: &Last) -> StoredClient {
    let outcome = match &last.outcome {
        Remembered::Answered(answered) => StoredOutcome::Answered(answered.clone()),
        Remembered::Gone { revision } => StoredOutcome::Gone(*revision),
        Remembered::Refused(error) => StoredOutcome::Refused(Refusal::of(error)),
    };
    StoredClient { client, sequence: last.sequence, index: last.index, outcome: Some(outcome) }
}

fn restore_client(clients: &mut Clients, stored: StoredClient) -> Option<()> {
    let StoredClient { client, sequence, index, outcome } = stored;
    let outcome = match outcome? {
        StoredOutcome::Answered(answered) => Remembered::Answered(answered),
        StoredOutcome::Gone(revision) => Remembered::Gone { revision },
        StoredOutcome::Refused(error) => Remembered::Refused(StoreError::try_from(error).ok()?),
    };
    clients.insert(client, Last { sequence, index, outcome });
    Some(())
}
