//! The crate `raft` as a core: its log in memory, and its messages as ours. The bytes of both are the same, but for enumerations in
//! changes of members, of which there are none here.

use bytes::BytesMut;
use dunlin_rafthttp::raftpb::{self, Message};
use protobuf::Message as _;
use raft::eraftpb;
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use crate::Error;

/// A core of Raft with its log.
pub(crate) struct Core {
    node: RawNode<MemStorage>,
    ticks: u32,
}

/// What is to be done after a step.
pub(crate) struct Ready {
    pub(crate) term: u64,
    pub(crate) last_index: u64,
    pub(crate) messages: Vec<Message>,
    pub(crate) committed: Vec<String>,
}

impl Core {
    /// One of three members, with an empty log.
    pub(crate) fn new(id: u64) -> Result<Self, Error> {
        let config = Config {
            election_tick: 10,
            heartbeat_tick: 1,
            check_quorum: true,
            pre_vote: true,
            ..Config::new(id)
        };
        let storage = MemStorage::new_with_conf_state((vec![1, 2, 3], vec![]));
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        Ok(Self { node: RawNode::new(&config, storage, &logger)?, ticks: 0 })
    }

    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
        self.node.tick();
    }

    pub(crate) fn step(&mut self, message: &Message) -> Result<(), Error> {
        let mut bytes = BytesMut::new();
        raftpb::encode(message, &mut bytes);
        match self.node.step(eraftpb::Message::parse_from_bytes(&bytes)?) {
            // A proposal without a leader to go to, or an answer of somebody unknown: Raft lives with both.
            Ok(()) | Err(raft::Error::ProposalDropped | raft::Error::StepPeerNotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether this member leads, once a second.
    pub(crate) fn leads_since_a_moment(&mut self) -> bool {
        let is_due = self.ticks >= 10;
        if is_due {
            self.ticks = 0;
        }
        is_due && self.node.raft.state == StateRole::Leader
    }

    pub(crate) fn propose(&mut self, what: String) {
        // It may be dropped, and will be said again.
        self.node.propose(Vec::new(), what.into_bytes()).ok();
    }

    /// Takes the steps of the core's manual in their order: write, then send, then apply.
    pub(crate) fn ready(&mut self) -> Result<Ready, Error> {
        let (mut messages, mut committed) = (Vec::new(), Vec::new());
        if self.node.has_ready() {
            let mut ready = self.node.ready();
            messages.extend(ready.take_messages());
            committed.extend(ready.take_committed_entries());
            self.node.store().wl().append(ready.entries())?;
            if let Some(hard_state) = ready.hs() {
                self.node.store().wl().set_hardstate(hard_state.clone());
            }
            // A real node has synced its log here.
            messages.extend(ready.take_persisted_messages());
            let mut rest = self.node.advance(ready);
            messages.extend(rest.take_messages());
            committed.extend(rest.take_committed_entries());
            self.node.advance_apply();
        }
        Ok(Ready {
            term: self.node.raft.term,
            last_index: self.node.raft.raft_log.last_index(),
            messages: messages.iter().map(from_core).collect::<Result<_, _>>()?,
            committed: committed.iter().filter(|entry| !entry.data.is_empty()).map(text).collect(),
        })
    }
}

fn from_core(message: &eraftpb::Message) -> Result<Message, Error> {
    Ok(raftpb::decode(&message.write_to_bytes()?, &dunlin_rafthttp::RaftLimits::DEFAULT)?)
}

fn text(entry: &eraftpb::Entry) -> String {
    String::from_utf8_lossy(&entry.data).into_owned()
}
