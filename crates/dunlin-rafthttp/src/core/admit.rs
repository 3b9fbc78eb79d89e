//! What of a peer's messages may reach Raft, decided before any does.
//!
//! Raft trusts its members: a follower ends its process over a heartbeat that commits what it does not have, a leader over a
//! proposal without entries, and the cores in use over types they do not know. So a message is looked at here first, by what this
//! node knows at that moment, a [`LocalView`]. What etcd answers as if it were fine and then drops is [`Admission::Ignore`]; what
//! no node that works would send is a [`Refusal`]. Section "What a node takes" of `docs/protocol/raft.md` in the repository.
//!
//! It knows not how long the bytes were: sizes are the codec's.
//! Read next: `admit/content.rs`, the rules of each type.
//!
//! Invariants: what is delivered is of a known type and meant for us, its numbers leave room to count on, and nothing in it is
//! known to end a core of Raft; a snapshot is in no message but one of type `Snap`.

mod configuration;
mod content;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

pub use self::configuration::ConfigurationError;
pub use self::refusal::Refusal;
use super::MemberId;
use crate::raftpb::{Message, MessageType, Snapshot};

/// Who may speak as a leader or a candidate without being a member that we know.
///
/// A node reads its members from the log, so one that is behind does not know the latest. If such a member leads, or needs the
/// vote of the one that is behind, the cluster stands still until it is heard. Raft therefore asks nobody for membership there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strangers {
    /// Anybody: as Raft has it and etcd does it. For clusters whose nodes do not say where they are, like etcd's example program.
    Any,
    /// Those in [`LocalView::joining`]. For clusters whose nodes announce their URLs, by which a new one gets in there.
    Announced,
}

/// What this node knows of itself and the others when a message comes in.
///
/// It must be at least as new as every message that has left this node: a peer's answer is measured by it.
#[derive(Debug, Clone, Copy)]
pub struct LocalView<'a> {
    /// This node.
    pub me: MemberId,
    /// The node that brought the message: the one at the other end of the connection, as it has proven or at least said. A
    /// message says itself whom it is from.
    pub sender: MemberId,
    /// The members, voters and learners, as applied from the log; none while this node has yet to join.
    pub members: &'a BTreeSet<MemberId>,
    /// Who may talk and is no member yet: announced itself with its URLs, or is about to be added.
    pub joining: &'a BTreeSet<MemberId>,
    /// Who was a member and never will be again.
    pub removed: &'a BTreeSet<MemberId>,
    /// Who else may lead.
    pub strangers: Strangers,
    /// Our term.
    pub term: u64,
    /// The last index of our log.
    pub last_index: u64,
}

/// What is done with a message that is not refused. Its sender hears the same in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admission {
    /// Raft gets it, as [`admit`] has left it.
    Deliver,
    /// Nothing.
    Ignore(Ignored),
}

/// Why a message is dropped without a word to its sender. One of few, to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Ignored {
    /// Its type is unknown: a newer peer may send it to whoever understands it.
    UnknownType,
    /// Its type has its meaning inside one node only.
    LocalType,
    /// It speaks of the link and not of Raft.
    LinkHeartbeat,
    /// It says that it is from us.
    FromMyself,
    /// It answers a question of ours, and its sender is none of those we asked.
    AnswerOfStranger,
    /// It says that its sender has entries which we do not have ourselves. After a restart it may be true, and is of no use.
    AnswerBeyondLog,
    /// It asks for a transfer of leadership in another term.
    TransferOfOtherTerm,
    /// It is a snapshot of a configuration in which we are not, which Raft would drop.
    SnapshotWithoutUs,
}

impl Ignored {
    /// A name for a counter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::LocalType => "local_type",
            Self::LinkHeartbeat => "link_heartbeat",
            Self::FromMyself => "from_myself",
            Self::AnswerOfStranger => "answer_of_stranger",
            Self::AnswerBeyondLog => "answer_beyond_log",
            Self::TransferOfOtherTerm => "transfer_of_other_term",
            Self::SnapshotWithoutUs => "snapshot_without_us",
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decides about a message of a peer, and takes out of it what Raft must not see: a snapshot that means nothing, and the term of a
/// transfer of leadership. Sections "What a node takes" and "Messages".
///
/// ```
/// use std::collections::BTreeSet;
///
/// use dunlin_rafthttp::{Admission, Ignored, LocalView, MemberId, Refusal, Strangers, admit};
/// use dunlin_rafthttp::raftpb::{Message, MessageType};
///
/// let (members, nobody) = (BTreeSet::from([MemberId(1), MemberId(2)]), BTreeSet::new());
/// let view = LocalView {
///     me: MemberId(1),
///     sender: MemberId(2),
///     members: &members,
///     joining: &nobody,
///     removed: &nobody,
///     strangers: Strangers::Announced,
///     term: 4,
///     last_index: 100,
/// };
/// let heartbeat = |commit| Message {
///     msg_type: MessageType::Heartbeat.into(),
///     from: 2,
///     to: 1,
///     term: 4,
///     commit,
///     ..Message::default()
/// };
/// assert_eq!(admit(&view, &mut heartbeat(100)), Ok(Admission::Deliver));
/// assert_eq!(admit(&view, &mut heartbeat(101)), Err(Refusal::CommitBeyondLog { commit: 101, last_index: 100 }));
/// let mut hup = Message { from: 2, to: 1, ..Message::default() };
/// assert_eq!(admit(&view, &mut hup), Ok(Admission::Ignore(Ignored::LocalType)));
/// ```
///
/// # Errors
///
/// [`Refusal`] with the first thing that no node that works would send; [`Refusal::status`] is the answer to it.
pub fn admit(view: &LocalView<'_>, message: &mut Message) -> Result<Admission, Refusal> {
    let Ok(msg_type) = message.msg_type() else { return Ok(Admission::Ignore(Ignored::UnknownType)) };
    if let Some(ignored) = check_envelope(view, message, msg_type)? {
        return Ok(Admission::Ignore(ignored));
    }
    check_term(view, message, msg_type)?;
    if let Some(ignored) = content::check(view, message, msg_type)? {
        return Ok(Admission::Ignore(ignored));
    }
    if msg_type != MessageType::Snap {
        message.snapshot = Snapshot::default();
    }
    if msg_type == MessageType::TransferLeader {
        // It is ours alone to act on. With a term a follower that passes it on ends its process, in etcd and in the crate
        // `raft`; that the term is ours was checked.
        message.term = 0;
    }
    Ok(Admission::Deliver)
}

/// What can be said by the type and by who talks to whom.
fn check_envelope(
    view: &LocalView<'_>,
    message: &Message,
    msg_type: MessageType,
) -> Result<Option<Ignored>, Refusal> {
    if msg_type.is_local() {
        return Ok(Some(Ignored::LocalType));
    }
    if message.is_link_heartbeat() {
        return Ok(Some(Ignored::LinkHeartbeat));
    }
    if message.to != view.me.0 {
        return Err(Refusal::NotForMe { to: MemberId(message.to) });
    }
    let from = MemberId(message.from);
    if from.0 == 0 {
        return Err(Refusal::NoSender { msg_type });
    }
    if from == view.me {
        // A transfer of leadership names the one that is to lead as its sender, which may be us.
        return Ok(Some(Ignored::FromMyself));
    }
    if view.removed.contains(&from) {
        return Err(Refusal::Removed { from });
    }
    check_sender(view, from, msg_type)?;
    if view.members.contains(&from) {
        return Ok(None);
    }
    check_stranger(view, from, msg_type)
}

/// Everything is said by those it is from, but for what followers pass on to the leader as it came.
fn check_sender(view: &LocalView<'_>, from: MemberId, msg_type: MessageType) -> Result<(), Refusal> {
    let LocalView { sender, members, .. } = *view;
    if from == sender {
        return Ok(());
    }
    match msg_type {
        MessageType::Prop | MessageType::ReadIndex | MessageType::TransferLeader
            if members.contains(&sender) =>
        {
            Ok(())
        }
        MessageType::Prop | MessageType::ReadIndex | MessageType::TransferLeader => {
            Err(Refusal::Stranger { from: sender, msg_type })
        }
        _ => Err(Refusal::InAnothersName { from, sender }),
    }
}

/// What somebody may say who is no member.
fn check_stranger(
    view: &LocalView<'_>,
    from: MemberId,
    msg_type: MessageType,
) -> Result<Option<Ignored>, Refusal> {
    let is_joining = view.joining.contains(&from);
    let is_allowed = match msg_type {
        // A leader or a candidate that we have not heard of. A node that has yet to join knows nobody: entries, a snapshot and
        // heartbeats are how it comes to know, and its vote may be the one that is missing, as in a cluster of one that
        // becomes one of two.
        MessageType::App
        | MessageType::Heartbeat
        | MessageType::Snap
        | MessageType::Vote
        | MessageType::PreVote => is_joining || view.members.is_empty() || view.strangers == Strangers::Any,
        // A new member that has applied its own addition a moment before us already answers, proposes and asks.
        MessageType::AppResp | MessageType::HeartbeatResp if is_joining => true,
        MessageType::Prop | MessageType::ReadIndex => is_joining,
        // Nobody was asked who is no member, and a vote of his counts nothing.
        MessageType::AppResp
        | MessageType::HeartbeatResp
        | MessageType::VoteResp
        | MessageType::PreVoteResp
        | MessageType::ReadIndexResp => return Ok(Some(Ignored::AnswerOfStranger)),
        // Elections are begun and leadership is handed over among members that are up to date, and these know each other.
        _ => false,
    };
    if is_allowed { Ok(None) } else { Err(Refusal::Stranger { from, msg_type }) }
}

fn check_term(view: &LocalView<'_>, message: &Message, msg_type: MessageType) -> Result<(), Refusal> {
    let Message { term, .. } = *message;
    // What is passed on to the leader has no term: a follower that passes it on again would end its process over one, and a
    // leader would step down for a higher one.
    if matches!(msg_type, MessageType::Prop | MessageType::ReadIndex) {
        return if term == 0 { Ok(()) } else { Err(Refusal::UnexpectedTerm { msg_type, term }) };
    }
    if term == 0 {
        return Err(Refusal::NoTerm { msg_type });
    }
    if term.saturating_sub(view.term) > crate::limits::TERM_JUMP_MAX {
        return Err(Refusal::TermJump { term, local_term: view.term });
    }
    Ok(())
}
