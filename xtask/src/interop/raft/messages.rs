//! The messages that are sent: every type that members send each other, and long rows of appends.
//!
//! They are JSON with every field of a message by its name, as `interop/README.md` says. Data is base64, so the letters of that
//! in fours are data of their own. Each message is one that a node that works could send: ours refuses others.

use serde_json::{Value, json};

/// The types that go from member to member.
pub(crate) const TYPES: [&str; 14] = [
    "MsgProp",
    "MsgApp",
    "MsgAppResp",
    "MsgVote",
    "MsgVoteResp",
    "MsgSnap",
    "MsgHeartbeat",
    "MsgHeartbeatResp",
    "MsgTransferLeader",
    "MsgTimeoutNow",
    "MsgReadIndex",
    "MsgReadIndexResp",
    "MsgPreVote",
    "MsgPreVoteResp",
];

/// The term of messages that only find out whether a way is open.
const GREETING_TERM: u64 = 99;

/// The term of all others at first, and of who receives them.
pub(crate) const TERM: u64 = 3;

/// A term far ahead, as after many elections.
const TERM_AHEAD: u64 = 1 << 31;

/// The last index of who receives: past everything that is sent.
pub(crate) const LAST_INDEX: u64 = FAR * 2;

/// Changes of the configuration as entries have them: member 5 is added, with a context; then member 6 is removed besides.
const CHANGE: &str = "CAEQABgFIgNhYmM=";
const CHANGE_V2: &str = "CAASBAgAEAUSBAgBEAYaAWM=";

/// An index that 32 bits do not hold.
const FAR: u64 = 1 << 40;

/// Who sends and who receives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// So many letters, as data.
fn data(len: usize) -> String {
    "Dunlin/+".chars().cycle().take(len / 4 * 4).collect()
}

fn entry(term: u64, index: u64, len: usize) -> Value {
    json!({"type": "EntryNormal", "term": term, "index": index, "data": data(len)})
}

fn change(entry_type: &str, (term, index): (u64, u64), data: &str) -> Value {
    json!({"type": entry_type, "term": term, "index": index, "data": data})
}

fn no_snapshot() -> Value {
    json!({
        "data": "", "index": 0, "term": 0, "voters": [], "learners": [], "voters_outgoing": [],
        "learners_next": [], "auto_leave": false,
    })
}

impl Ends {
    fn message(self, msg_type: &str, more: &Value) -> Value {
        let mut message = json!({
            "type": msg_type, "to": self.to, "from": self.from, "term": TERM, "log_term": 0, "index": 0,
            "entries": [], "commit": 0, "snapshot": no_snapshot(), "reject": false, "reject_hint": 0,
            "context": "",
        });
        if let (Value::Object(message), Value::Object(more)) = (&mut message, more) {
            message.extend(more.clone());
        }
        message
    }

    /// Two of each type: with little in it, and with all that it can have.
    pub(crate) fn samples(self) -> Vec<Value> {
        TYPES.iter().flat_map(|msg_type| self.pair(msg_type)).collect()
    }

    fn pair(self, msg_type: &str) -> [Value; 2] {
        let proposed = |len| entry(0, 0, len);
        let few = match msg_type {
            "MsgProp" => json!({"term": 0, "entries": [proposed(0)]}),
            "MsgReadIndex" => json!({"term": 0, "entries": [proposed(8)]}),
            "MsgReadIndexResp" => json!({"index": 1, "entries": [proposed(8)]}),
            "MsgApp" => json!({"log_term": 1, "index": 1}),
            "MsgSnap" => json!({"snapshot": self.snapshot(7, 0)}),
            _ => json!({}),
        };
        let election = json!({"log_term": 2, "index": FAR, "context": data(16)});
        let all = match msg_type {
            "MsgProp" => json!({
                "term": 0,
                "entries": [
                    proposed(3000), change("EntryConfChange", (0, 0), CHANGE),
                    change("EntryConfChangeV2", (0, 0), CHANGE_V2),
                ],
            }),
            "MsgApp" => json!({
                "log_term": 2, "index": FAR, "commit": FAR + 3,
                "entries": [
                    entry(2, FAR + 1, 0),
                    change("EntryConfChange", (3, FAR + 2), CHANGE),
                    entry(3, FAR + 3, 3 << 20),
                ],
            }),
            "MsgAppResp" => json!({"log_term": 2, "index": 9, "reject": true, "reject_hint": 8, "commit": 5}),
            "MsgVote" | "MsgPreVote" => election,
            "MsgVoteResp" | "MsgPreVoteResp" => json!({"term": TERM_AHEAD, "reject": true}),
            "MsgSnap" => json!({"snapshot": self.snapshot(FAR, 64 * 1024)}),
            "MsgHeartbeat" => json!({"commit": 12, "context": data(8)}),
            "MsgReadIndex" => {
                json!({"term": 0, "entries": [proposed(1000)], "context": data(8)})
            }
            "MsgReadIndexResp" => json!({"index": 77, "entries": [proposed(1000)]}),
            _ => json!({"context": data(8)}),
        };
        [self.message(msg_type, &few), self.message(msg_type, &all)]
    }

    fn snapshot(self, index: u64, len: usize) -> Value {
        let mut snapshot = no_snapshot();
        let more = json!({
            "data": data(len), "index": index, "term": 2, "voters": [self.from, self.to],
            "learners": [6], "voters_outgoing": [self.from, 5], "learners_next": [5], "auto_leave": true,
        });
        if let (Value::Object(snapshot), Value::Object(more)) = (&mut snapshot, more) {
            snapshot.extend(more);
        }
        snapshot
    }

    /// The message of a snapshot of this index whose database follows.
    pub(crate) fn snapshot_message(self, index: u64) -> Value {
        self.message("MsgSnap", &json!({"snapshot": self.snapshot(index, 600)}))
    }

    /// So many appends, each after the one before; the leader changes in the middle of them.
    pub(crate) fn appends(self, count: usize) -> Vec<Value> {
        let (mut index, mut log_term) = (10, 2);
        let mut appends = Vec::with_capacity(count);
        for number in 0..count {
            let term = if number < count / 2 { TERM } else { TERM + 1 };
            let entries: Vec<Value> =
                (1..=number as u64 % 4).map(|nth| entry(term, index + nth, number * 37 % 4096)).collect();
            let last = index + entries.len() as u64;
            let more = json!({
                "term": term, "log_term": log_term, "index": index, "commit": index - 5, "entries": entries,
            });
            appends.push(self.message("MsgApp", &more));
            if last > index {
                (index, log_term) = (last, term);
            }
        }
        appends
    }

    /// One message for each stream, by which it is seen whether both are open.
    pub(crate) fn greetings(self, number: u64) -> [Value; 2] {
        let more = json!({"term": GREETING_TERM, "commit": number});
        [self.message("MsgApp", &more), self.message("MsgHeartbeat", &more)]
    }
}

/// What Raft of a member is given when this arrives. Ours hands a transfer of leadership over without its term: it is the
/// receiver's alone to act on, and a follower that passed it on with one would end its process.
pub(crate) fn as_delivered(message: &Value, is_to_dunlin: bool) -> Value {
    let mut delivered = message.clone();
    if is_to_dunlin && message["type"] == "MsgTransferLeader" {
        delivered["term"] = json!(0);
    }
    delivered
}

/// Whether it is one of [`Ends::greetings`].
pub(crate) fn is_greeting(message: &Value) -> bool {
    message["term"] == GREETING_TERM
}

#[cfg(test)]
mod tests {
    use super::{Ends, TYPES};

    #[test]
    fn every_type_is_sent_twice_and_no_two_messages_are_equal() {
        let samples = Ends { from: 1, to: 2 }.samples();
        for msg_type in TYPES {
            assert_eq!(samples.iter().filter(|message| message["type"] == msg_type).count(), 2, "{msg_type}");
        }
        let texts: std::collections::BTreeSet<String> = samples.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2 * TYPES.len());
    }
}
