//! Where claims are made: two fresh members for each, and the ways between them that are known to be open.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::member::{ANSWER_TIME, CLUSTER, Member, Plan};
use super::messages::{Ends, as_delivered};

/// Ids of members, as etcd has them: numbers of all 64 bits.
const DUNLIN_ID: u64 = 0xd0_1100_0000_00ab;
const ETCD_ID: u64 = 0xe7cd_0000_0000_00ef;

/// How long a greeting may take before another one is sent.
const GREETING_TIME: Duration = Duration::from_secs(1);

/// How long the streams may take until they are open again: the longest pause of ours before a dial is five seconds.
const OPEN_TIME: Duration = Duration::from_secs(20);

/// How often what changes by itself is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Bytes by which the msgapp stream grows for a greeting, and not for a heartbeat of the link.
const GREETING_LEN_MIN: usize = 30;

/// Whose messages are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToEtcd,
    ToDunlin,
}

impl Direction {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ToEtcd => "dunlin to etcd",
            Self::ToDunlin => "etcd to dunlin",
        }
    }
}

/// What one claim of one row needs.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) direction: Direction,
    pub(crate) dunlin: PathBuf,
    pub(crate) etcd: PathBuf,
    /// The version that it must be of.
    pub(crate) etcd_version: String,
    /// A folder of its own.
    pub(crate) dir: PathBuf,
}

/// Who sends, and who receives.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) from: Member,
    pub(crate) to: Member,
    pub(crate) ends: Ends,
    greetings: u64,
    is_to_dunlin: bool,
}

impl Lab {
    /// Two members that do not know each other yet.
    ///
    /// # Errors
    ///
    /// When one does not start.
    pub(crate) fn pair(&self) -> Result<Pair> {
        let pair = self.pair_with(|_| {})?;
        let etcd = if self.is_dunlin_sender() { &pair.to } else { &pair.from };
        let (said, built) = (&etcd.version, &self.etcd_version);
        ensure!(said == built, "etcd says that it is {said} and was built as {built}");
        Ok(pair)
    }

    /// The same, with a receiver that is set up otherwise.
    ///
    /// # Errors
    ///
    /// When one does not start.
    pub(crate) fn pair_with(&self, set: impl FnOnce(&mut Plan)) -> Result<Pair> {
        let dunlin = self.plan("dunlin", DUNLIN_ID, &self.dunlin);
        let etcd = self.plan("etcd", ETCD_ID, &self.etcd);
        let (from, mut to) = match self.direction {
            Direction::ToEtcd => (dunlin, etcd),
            Direction::ToDunlin => (etcd, dunlin),
        };
        set(&mut to);
        let ends = Ends { from: from.id, to: to.id };
        let (from, to) = (Member::start(from)?, Member::start(to)?);
        Ok(Pair { from, to, ends, greetings: 0, is_to_dunlin: !self.is_dunlin_sender() })
    }

    fn plan(&self, name: &'static str, id: u64, program: &Path) -> Plan {
        Plan {
            name,
            id,
            cluster: CLUSTER,
            program: program.to_owned(),
            dir: self.dir.join(name),
            more: json!({}),
        }
    }

    /// Who refuses, in a claim about a refusal.
    pub(crate) const fn is_dunlin_sender(&self) -> bool {
        matches!(self.direction, Direction::ToEtcd)
    }

    /// A file with so many bytes that follow no short pattern.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn database(&self, len: usize) -> Result<(PathBuf, Vec<u8>)> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .take(len)
        .collect();
        let path = self.dir.join("database");
        fs::write(&path, &bytes)?;
        Ok((path, bytes))
    }
}

impl Pair {
    /// Makes each the peer of the other and waits until the receiver reads both streams.
    ///
    /// # Errors
    ///
    /// When it does not within its time.
    pub(crate) fn open(&mut self) -> Result<()> {
        self.from.meet(&self.to)?;
        self.to.meet(&self.from)?;
        self.greet()
    }

    /// Waits until messages of both kinds arrive by streams and no longer by posts.
    ///
    /// # Errors
    ///
    /// When they do not within their time.
    pub(crate) fn greet(&mut self) -> Result<()> {
        let deadline = Instant::now() + OPEN_TIME;
        while Instant::now() < deadline {
            self.greetings += 1;
            let (posts, appended) = (self.posts(), self.appended_len());
            self.from.send(&self.ends.greetings(self.greetings))?;
            let number = self.greetings;
            let has_come = ["MsgApp", "MsgHeartbeat"].iter().try_fold(true, |all, msg_type| {
                let mut is_it = |event: &Value| {
                    event["message"]["type"] == *msg_type && event["message"]["commit"] == number
                };
                let came = self.to.wait_within(GREETING_TIME, &mut is_it)?;
                anyhow::Ok(all && came.is_some())
            })?;
            if has_come && self.posts() == posts && self.appended_len() >= appended + GREETING_LEN_MIN {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        bail!("{} does not read both streams of {}", self.to.plan.name, self.from.plan.name)
    }

    /// Single messages that were posted to the receiver until now.
    pub(crate) fn posts(&self) -> usize {
        self.to.tap.asked("POST /raft").len()
    }

    /// Bytes of all msgapp streams of the sender until now.
    pub(crate) fn appended_len(&self) -> usize {
        self.from.tap.asked("GET /raft/stream/msgapp/").iter().map(|exchange| exchange.answer_len).sum()
    }

    /// Sends messages one after the other and holds each against what arrives. Returns how many.
    ///
    /// # Errors
    ///
    /// When one does not arrive, or differs.
    pub(crate) fn exchange(&mut self, messages: &[Value]) -> Result<usize> {
        for message in messages {
            let msg_type = &message["type"];
            self.from.send(std::slice::from_ref(message))?;
            let Some(came) = self.to.next_message(ANSWER_TIME)? else { bail!("a {msg_type} did not arrive") };
            let expected = as_delivered(message, self.is_to_dunlin);
            ensure!(came == expected, "a {msg_type} came otherwise: {}", difference(&expected, &came));
        }
        Ok(messages.len())
    }
}

/// The first field that differs.
fn difference(sent: &Value, came: &Value) -> String {
    let fields = sent.as_object().into_iter().flatten();
    let different = fields.filter(|(name, value)| came[name.as_str()] != **value);
    let shown = different.map(|(name, value)| {
        let (sent, came) = (value.to_string(), came[name.as_str()].to_string());
        format!("{name} was {sent:.200} and is {came:.200}")
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Waits until this is true.
///
/// # Errors
///
/// When it is not within [`ANSWER_TIME`].
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + ANSWER_TIME;
    while !is_so() {
        ensure!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(LOOK);
    }
    Ok(())
}
