//! What the demo's clients and its chat say to each other. A name or a text that is empty or too long never gets past
//! here: its message cannot be read, and a request with it is answered with code 400.

use std::collections::VecDeque;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use dunlin::Event;
use serde::{Deserialize, Serialize};

/// The name of a member or of a room.
pub(super) type Name = Short<24>;
/// What somebody says.
pub(super) type Text = Short<500>;

/// Text that people typed: some characters, at most so many, without the spaces around them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Short<const CHARS_MAX: usize>(String);

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Empty,
    TooLong { chars_max: usize },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a text without a character"),
            Self::TooLong { chars_max } => write!(f, "a text of more than {chars_max} characters"),
        }
    }
}

impl<const CHARS_MAX: usize> TryFrom<String> for Short<CHARS_MAX> {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        let text = text.trim();
        match text.chars().take(CHARS_MAX + 1).count() {
            0 => Err(Unfit::Empty),
            count if count > CHARS_MAX => Err(Unfit::TooLong { chars_max: CHARS_MAX }),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl<const CHARS_MAX: usize> From<Short<CHARS_MAX>> for String {
    fn from(text: Short<CHARS_MAX>) -> Self {
        text.0
    }
}

impl<const CHARS_MAX: usize> std::ops::Deref for Short<CHARS_MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Asks to be let into a room.
#[derive(Serialize, Deserialize)]
pub(super) struct Join {
    pub(super) room: Name,
    pub(super) name: Name,
    #[serde(default)]
    pub(super) bot: bool,
}

/// What somebody finds who came in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Joined {
    pub(super) members: Vec<Member>,
    pub(super) history: VecDeque<Line>,
    pub(super) you: Name,
}

/// Says a line.
#[derive(Serialize, Deserialize)]
pub(super) struct Say {
    pub(super) text: Text,
}

/// Asks for another name, and says which it is now.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rename {
    pub(super) name: Name,
}

/// Somebody is in the room; as a push, somebody came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event("onJoin")]
pub(super) struct Member {
    pub(super) name: Name,
    pub(super) bot: bool,
}

/// Somebody left.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event("onLeave")]
pub(super) struct Left {
    pub(super) name: Name,
}

/// Somebody said something.
#[derive(Debug, Clone, Serialize, Deserialize, Event)]
#[event("onLine")]
pub(super) struct Line {
    pub(super) from: Name,
    pub(super) text: Text,
    /// When, in milliseconds of Unix time.
    pub(super) at: u64,
}

impl Line {
    /// A line that is said now.
    pub(super) fn now(from: Name, text: Text) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { from, text, at: since.as_secs() * 1000 + u64::from(since.subsec_millis()) }
    }
}

/// Somebody has another name now.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event("onRename")]
pub(super) struct Renamed {
    pub(super) from: Name,
    pub(super) to: Name,
}

/// Somebody is typing.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event("onTyping")]
pub(super) struct Typing {
    pub(super) name: Name,
}
