//! All nodes, as a state machine: what a range and a watch say in, records out.

use std::collections::BTreeMap;

use prost::Message as _;

use super::{NodeRecord, RECORDS};
use crate::store::{Event, EventKind, KeyValue};

/// The nodes there are, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeTable {
    nodes: BTreeMap<u64, NodeRecord>,
}

impl NodeTable {
    /// What a range of all records gave.
    pub(super) fn of<'a>(entries: impl IntoIterator<Item = &'a KeyValue>) -> Self {
        let mut table = Self::default();
        for entry in entries {
            table.put(entry);
        }
        table
    }

    /// What a watch of all records gave.
    pub(super) fn handle_event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Put => self.put(&event.entry),
            EventKind::Delete => {
                if let Some(id) = id_of(&event.entry.key) {
                    self.nodes.remove(&id);
                }
            }
        }
    }

    fn put(&mut self, entry: &KeyValue) {
        // What is no record is of a version to come, or somebody else's: no node that can be talked with.
        match (id_of(&entry.key), NodeRecord::decode(&*entry.value)) {
            (Some(id), Ok(record)) if record.id == id => drop(self.nodes.insert(id, record)),
            _ => {
                tracing::warn!(key = %entry.key.escape_ascii(), "what is no record of a node is passed over");
            }
        }
    }

    /// All nodes, by their ids.
    pub fn iter(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    /// One node.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&NodeRecord> {
        self.nodes.get(&id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// The key of a node's record.
#[must_use]
pub fn key_of(id: u64) -> String {
    format!("{RECORDS}{id:016x}")
}

fn id_of(key: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(key.strip_prefix(RECORDS.as_bytes())?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn entry(id: u64, name: &str) -> KeyValue {
        let record = NodeRecord { id, name: name.to_owned(), ..NodeRecord::default() };
        KeyValue { key: key_of(id).into(), value: record.encode_to_vec().into(), ..KeyValue::default() }
    }

    #[test]
    fn what_was_put_last_stands_and_what_was_deleted_is_gone() {
        let mut table = NodeTable::of(&[entry(1, "one"), entry(2, "two")]);
        table.handle_event(&Event { kind: EventKind::Put, entry: entry(2, "new") });
        table.handle_event(&Event { kind: EventKind::Delete, entry: entry(1, "") });
        assert_eq!(table.iter().map(|node| &*node.name).collect::<Vec<_>>(), ["new"]);
        assert_eq!(table.get(1), None);
    }

    proptest! {
        #[test]
        fn no_key_and_no_value_makes_a_node_of_another_id(key: Vec<u8>, value: Vec<u8>) {
            let entry = KeyValue { key: Bytes::from(key), value: value.into(), ..KeyValue::default() };
            prop_assert!(NodeTable::of([&entry]).iter().all(|node| id_of(&entry.key) == Some(node.id)));
        }
    }
}
