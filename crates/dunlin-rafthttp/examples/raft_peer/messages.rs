//! A message in JSON, every field by its name and every one always there, so that two of them are compared as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dunlin_rafthttp::raftpb::{
    ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata,
};
use serde_json::{Value, json};

use crate::{Fault, number, text};

/// Past the last number that an enumeration of Raft's has.
const NUMBERS_END: i32 = 32;

/// As etcd writes the type.
fn message_type_name(message: &Message) -> String {
    message.msg_type().map_or_else(|error| error.to_string(), |msg_type| format!("Msg{msg_type:?}"))
}

fn entry_type_name(entry: &Entry) -> String {
    entry.entry_type().map_or_else(|error| error.to_string(), |entry_type| format!("Entry{entry_type:?}"))
}

pub(crate) fn to_json(message: &Message) -> Value {
    let metadata = &message.snapshot.metadata;
    let members = &metadata.conf_state;
    let entries = message.entries.iter().map(|entry| {
        json!({
            "type": entry_type_name(entry),
            "term": entry.term,
            "index": entry.index,
            "data": STANDARD.encode(&entry.data),
        })
    });
    json!({
        "type": message_type_name(message),
        "to": message.to,
        "from": message.from,
        "term": message.term,
        "log_term": message.log_term,
        "index": message.index,
        "entries": entries.collect::<Vec<_>>(),
        "commit": message.commit,
        "snapshot": {
            "data": STANDARD.encode(&message.snapshot.data),
            "index": metadata.index,
            "term": metadata.term,
            "voters": members.voters,
            "learners": members.learners,
            "voters_outgoing": members.voters_outgoing,
            "learners_next": members.learners_next,
            "auto_leave": members.auto_leave,
        },
        "reject": message.reject,
        "reject_hint": message.reject_hint,
        "context": STANDARD.encode(&message.context),
    })
}

fn bytes(value: &Value, field: &str) -> Result<Bytes, Fault> {
    // Without the standard library the error is none that converts.
    let decoded = STANDARD.decode(text(value, field)?).map_err(|error| format!("`{field}`: {error}"))?;
    Ok(decoded.into())
}

fn flag(value: &Value, field: &str) -> Result<bool, Fault> {
    value[field].as_bool().ok_or_else(|| format!("`{field}` is neither true nor false").into())
}

fn numbers(value: &Value, field: &str) -> Result<Vec<u64>, Fault> {
    let list = value[field].as_array().ok_or_else(|| format!("a list `{field}` is missing"))?;
    list.iter().map(|id| id.as_u64().ok_or_else(|| format!("`{field}` are no numbers").into())).collect()
}

/// The number of an enumeration whose name `named` gives.
fn by_name(name: &str, named: impl Fn(i32) -> String) -> Result<i32, Fault> {
    (0..NUMBERS_END)
        .find(|number| named(*number) == name)
        .ok_or_else(|| format!("nothing is a `{name}`").into())
}

fn entry(value: &Value) -> Result<Entry, Fault> {
    let entry_type = by_name(text(value, "type")?, |number| {
        EntryType::try_from(number).map_or_else(|_| String::new(), |named| format!("Entry{named:?}"))
    })?;
    Ok(Entry {
        entry_type,
        term: number(value, "term")?,
        index: number(value, "index")?,
        data: bytes(value, "data")?,
    })
}

fn snapshot(value: &Value) -> Result<Snapshot, Fault> {
    let conf_state = ConfState {
        voters: numbers(value, "voters")?,
        learners: numbers(value, "learners")?,
        voters_outgoing: numbers(value, "voters_outgoing")?,
        learners_next: numbers(value, "learners_next")?,
        auto_leave: flag(value, "auto_leave")?,
    };
    let metadata =
        SnapshotMetadata { conf_state, index: number(value, "index")?, term: number(value, "term")? };
    Ok(Snapshot { data: bytes(value, "data")?, metadata })
}

pub(crate) fn from_json(value: &Value) -> Result<Message, Fault> {
    let msg_type = by_name(text(value, "type")?, |number| {
        MessageType::try_from(number).map_or_else(|_| String::new(), |named| format!("Msg{named:?}"))
    })?;
    let entries = value["entries"].as_array().ok_or("`entries` are missing")?;
    Ok(Message {
        msg_type,
        to: number(value, "to")?,
        from: number(value, "from")?,
        term: number(value, "term")?,
        log_term: number(value, "log_term")?,
        index: number(value, "index")?,
        entries: entries.iter().map(entry).collect::<Result<_, _>>()?,
        commit: number(value, "commit")?,
        snapshot: snapshot(&value["snapshot"])?,
        reject: flag(value, "reject")?,
        reject_hint: number(value, "reject_hint")?,
        context: bytes(value, "context")?,
    })
}
