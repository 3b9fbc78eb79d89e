//! The application's hooks on the life of sessions: opened, bound, closed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Stats;
use crate::session::{CloseReason, Session};

type Opened = Box<dyn Fn(&Session) + Send + Sync>;
type Closed = Box<dyn Fn(&Session, &CloseReason) + Send + Sync>;

/// Hooks of an application, run on the session's shard in the order they were given.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_opened: Vec<Opened>,
    pub(crate) on_bound: Vec<Opened>,
    pub(crate) on_closed: Vec<Closed>,
}

impl Hooks {
    pub(crate) fn opened(&self, session: &Session, stats: &Stats) {
        stats.sessions_opened.add(1);
        for hook in &self.on_opened {
            contain("on_opened hook", || hook(session));
        }
    }

    pub(crate) fn bound(&self, session: &Session) {
        for hook in &self.on_bound {
            contain("on_bound hook", || hook(session));
        }
    }

    pub(crate) fn closed(&self, session: &Session, reason: &CloseReason, stats: &Stats) {
        stats.sessions_closed.add(1);
        if *reason == CloseReason::TooSlow {
            stats.slow_clients.add(1);
        }
        for hook in &self.on_closed {
            contain("on_closed hook", || hook(session, reason));
        }
    }
}

/// Runs the application's code so that its panic stays in it.
pub(crate) fn contain(what: &'static str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!(what, "the application's code panicked");
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hooks({}, {}, {})", self.on_opened.len(), self.on_bound.len(), self.on_closed.len())
    }
}
