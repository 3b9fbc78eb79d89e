//! The golden vectors of Go's encoder in both directions: the bytes give the messages, the messages give the bytes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use dunlin_rafthttp::raftpb::{self, ConfChange, ConfChangeType, ConfState, Entry, EntryType, Message};
use dunlin_rafthttp::raftpb::{Snapshot, SnapshotMetadata};
use dunlin_rafthttp::{
    MessageDecoder, MsgAppDecoder, MsgAppEncoder, RaftLimits, StreamEnds, StreamEvent, encode_message,
};
use serde_json::Value;

use crate::captured::hex;

const VECTORS: &str = include_str!("../../../../interop/golden/rafthttp/codec-vectors-go-3.4.23.json");
const LIMITS: RaftLimits = RaftLimits::DEFAULT;
const ENDS: StreamEnds = StreamEnds { from: 1, to: 2 };

struct Vector {
    note: String,
    message: Message,
    bytes: Vec<u8>,
}

/// The vectors of one codec, in their order.
fn vectors(codec: &str) -> Vec<Vector> {
    let rows: Vec<Value> = serde_json::from_str(VECTORS).expect("the vectors are JSON");
    let rows = rows.iter().filter(|row| row["Codec"].as_str().expect("a codec").starts_with(codec));
    let vectors: Vec<_> = rows
        .map(|row| Vector {
            note: row["Note"].as_str().expect("a note").to_owned(),
            message: message(&row["Msg"]),
            bytes: hex(row["Hex"].as_str().expect("hex digits")),
        })
        .collect();
    assert_eq!(vectors.len(), 10, "of {codec}");
    vectors
}

fn number(row: &Value, field: &str) -> u64 {
    row[field].as_u64().expect("a number")
}

fn kind(row: &Value, field: &str) -> i32 {
    i32::try_from(number(row, field)).expect("a small number")
}

fn payload(row: &Value, field: &str) -> Bytes {
    let text = row.get(field).map_or("", |text| text.as_str().expect("text"));
    BASE64_STANDARD.decode(text).expect("base64").into()
}

fn numbers(row: &Value, field: &str) -> Vec<u64> {
    let list = row.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|number| number.as_u64().expect("a number")).collect()
}

fn message(row: &Value) -> Message {
    let entries = row["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    Message {
        msg_type: kind(row, "type"),
        to: number(row, "to"),
        from: number(row, "from"),
        term: number(row, "term"),
        log_term: number(row, "logTerm"),
        index: number(row, "index"),
        entries: entries.iter().map(entry).collect(),
        commit: number(row, "commit"),
        snapshot: snapshot(&row["snapshot"]),
        reject: row["reject"].as_bool().expect("yes or no"),
        reject_hint: number(row, "rejectHint"),
        context: payload(row, "context"),
    }
}

fn entry(row: &Value) -> Entry {
    Entry {
        entry_type: kind(row, "Type"),
        term: number(row, "Term"),
        index: number(row, "Index"),
        data: payload(row, "Data"),
    }
}

fn snapshot(row: &Value) -> Snapshot {
    let metadata = &row["metadata"];
    let conf_state = &metadata["conf_state"];
    Snapshot {
        data: payload(row, "data"),
        metadata: SnapshotMetadata {
            conf_state: ConfState {
                voters: numbers(conf_state, "voters"),
                learners: numbers(conf_state, "learners"),
                auto_leave: conf_state["auto_leave"].as_bool().expect("yes or no"),
                ..ConfState::default()
            },
            index: number(metadata, "index"),
            term: number(metadata, "term"),
        },
    }
}

/// What a decoder gives for a message.
fn event(message: &Message) -> StreamEvent {
    message.clone().into()
}

#[test]
fn every_vector_of_the_message_stream_decodes_to_what_it_says() {
    let mut decoder = MessageDecoder::new(LIMITS);
    for Vector { note, message, bytes } in vectors("message") {
        let mut input = bytes.as_slice();
        assert_eq!(decoder.decode(&mut input), Ok(Some(event(&message))), "{note}");
        assert!(input.is_empty() && decoder.is_idle(), "{note}");
    }
}

#[test]
fn every_vector_of_the_message_stream_is_encoded_to_the_same_bytes() {
    for Vector { note, message, bytes } in vectors("message") {
        let mut out = BytesMut::new();
        encode_message(&message, &LIMITS, &mut out).expect("it is within the limits");
        assert_eq!(out, bytes, "{note}");
        assert_eq!(raftpb::encoded_len(&message), bytes.len() - 8, "{note}");
    }
}

#[test]
fn every_vector_of_the_msgapp_stream_decodes_in_order_to_what_it_says() {
    let mut decoder = MsgAppDecoder::new(ENDS, LIMITS);
    for Vector { note, message, bytes } in vectors("msgappv2") {
        let mut input = bytes.as_slice();
        assert_eq!(decoder.decode(&mut input), Ok(Some(event(&message))), "{note}");
        assert!(input.is_empty() && decoder.is_idle(), "{note}");
    }
}

#[test]
fn every_vector_of_the_msgapp_stream_is_encoded_in_order_to_the_same_bytes() {
    let mut encoder = MsgAppEncoder::new(ENDS, LIMITS);
    for Vector { note, message, bytes } in vectors("msgappv2") {
        let mut out = BytesMut::new();
        encoder.encode(&message, &mut out).expect("it is within the limits");
        assert_eq!(out, bytes, "{note}");
    }
}

#[test]
fn configuration_change_in_an_entry_is_read_by_etcds_numbers_and_written_the_same() {
    let vectors = vectors("msgappv2");
    let entries = vectors.iter().flat_map(|vector| &vector.message.entries);
    let changes = entries.filter(|entry| entry.entry_type() == Ok(EntryType::ConfChange));
    let [entry] = *changes.collect::<Vec<_>>() else { panic!("there is one") };
    let change: ConfChange = raftpb::decode(&entry.data, &LIMITS).expect("a change");
    assert_eq!(change.change_type(), Ok(ConfChangeType::AddLearnerNode));
    assert_eq!((change.id, change.node_id), (1, 9));
    let mut out = BytesMut::new();
    raftpb::encode(&change, &mut out);
    assert_eq!(out, entry.data);
}
