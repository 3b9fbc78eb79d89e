//! The snapshots of a member: databases by their index, which stay when it crashes.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dunlin_registry::limits::SNAPSHOTS_KEPT;
use dunlin_registry::store::{Image, Store};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshots {
    databases: BTreeMap<u64, Bytes>,
}

impl Snapshots {
    pub(crate) fn insert(&mut self, index: u64, database: Bytes) {
        self.databases.insert(index, database);
    }

    pub(crate) fn get(&self, index: u64) -> Option<Bytes> {
        self.databases.get(&index).cloned()
    }

    pub(crate) fn newest(&self) -> u64 {
        self.databases.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// The store of a snapshot; an empty one for index 0.
    pub(crate) fn load(&self, index: u64) -> Result<Store, String> {
        if index == 0 {
            return Ok(Store::new());
        }
        let database = self.databases.get(&index).ok_or_else(|| format!("there is no snapshot {index}"))?;
        Store::from_image(&mut &database[..]).map_err(|error| format!("snapshot {index}: {error}"))
    }

    /// Removes all but the newest ones up to an index that is in force.
    pub(crate) fn purge(&mut self, index: u64) {
        let gone = self.databases.range(..=index).count().saturating_sub(SNAPSHOTS_KEPT);
        for _ in 0..gone {
            self.databases.pop_first();
        }
    }

    /// Keeps the newest one alone.
    pub(crate) fn keep_newest(&mut self) {
        let newest = self.newest();
        self.databases.retain(|index, _| *index == newest);
    }
}

/// The bytes of an image.
pub(crate) fn database_of(image: &Image) -> Bytes {
    let mut database = BytesMut::new();
    image.chunks().for_each(|chunk| database.put(chunk));
    database.freeze()
}

/// A database without what it says of clients; for the bug of that name.
pub(crate) fn without_clients(mut database: Bytes) -> Bytes {
    // Records are of one field each, whose tag comes first; that of a client is 4, that of the end 7.
    const CLIENT: u8 = (4 << 3) | 2;
    const END: u8 = (7 << 3) | 2;
    let mut out = BytesMut::new();
    let mut records = 0_u64;
    while database.remaining() > 4 {
        let len = usize::try_from(database.get_u32_le()).unwrap_or(usize::MAX);
        let record = database.split_to(len.min(database.len()));
        match record.first() {
            Some(&CLIENT) => {}
            Some(&END) => {
                let checksum = crc32fast::hash(&out);
                out.put_u32_le(16);
                out.put_slice(&[END, 14, (1 << 3) | 1]);
                out.put_u64_le(records);
                out.put_u8((2 << 3) | 5);
                out.put_u32_le(checksum);
            }
            _ => {
                out.put_u32_le(u32::try_from(record.len()).unwrap_or(u32::MAX));
                out.put_slice(&record);
                records += 1;
            }
        }
    }
    out.freeze()
}
