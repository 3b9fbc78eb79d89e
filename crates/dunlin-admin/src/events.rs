//! What happened, the last of it: a ring of events, each with a number.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::limits::{EVENT_TEXT_LEN_MAX, EVENTS_MAX};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EventKind {
    /// A node came, went, or does otherwise than before.
    Node,
    /// Who leads the voters.
    Leader,
    /// A link between nodes.
    Link,
    /// Clients that were ended, refused or turned away.
    Clients,
    /// Handlers that panicked or were late.
    Handlers,
    /// Somebody asked for something at the admin port.
    Action,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// A sentence.
    pub text: String,
}

impl Event {
    /// An event, whose text is cut where it is longer than 512 bytes.
    #[must_use]
    pub fn new(kind: EventKind, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > EVENT_TEXT_LEN_MAX {
            let between = |at: &usize| text.is_char_boundary(*at);
            text.truncate((0..=EVENT_TEXT_LEN_MAX).rev().find(between).unwrap_or_default());
            text.push('…');
        }
        Self { kind, text }
    }
}

/// An event with its number, which only grows, and when it was noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Noted {
    pub(crate) number: u64,
    pub(crate) at_ms: u64,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// The last events.
#[derive(Debug, Default)]
pub(crate) struct EventLog(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    events: VecDeque<Noted>,
}

impl EventLog {
    /// Adds one; the oldest goes when there are too many.
    pub(crate) fn note(&self, event: Event) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.events.len() == EVENTS_MAX {
            ring.events.pop_front();
        }
        ring.last += 1;
        let at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let number = ring.last;
        ring.events.push_back(Noted { number, at_ms, event });
    }

    /// Those that there are, the oldest first.
    pub(crate) fn all(&self) -> Vec<Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).events.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_and_their_numbers_grow() {
        let log = EventLog::default();
        for number in 0..EVENTS_MAX + 5 {
            log.note(Event::new(EventKind::Node, format!("{number}")));
        }
        let all = log.all();
        assert_eq!(all.len(), EVENTS_MAX);
        assert_eq!((all[0].number, &*all[0].event.text), (6, "5"));
        assert!(all.is_sorted_by_key(|noted| noted.number));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let event = Event::new(EventKind::Action, "é".repeat(EVENT_TEXT_LEN_MAX));
        assert!(event.text.len() <= EVENT_TEXT_LEN_MAX + '…'.len_utf8());
        assert!(event.text.ends_with("é…"));
    }
}
