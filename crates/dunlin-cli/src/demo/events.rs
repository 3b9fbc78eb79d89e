//! What happened to the cluster, and what is under way: the list under the buttons. Pure but for its lock.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin::Error;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::messages::Happened;

/// So many events are shown.
const SHOWN_MAX: usize = 8;

/// Something that a button does. Only one of a kind is under way at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    KillLeader,
    CutLink,
    Drain,
    SlowClient,
}

impl Action {
    /// As the buttons are named.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KillLeader => "kill-leader",
            Self::CutLink => "cut-link",
            Self::Drain => "drain",
            Self::SlowClient => "slow-client",
        }
    }
}

/// See the module. Clones are the same list.
#[derive(Debug, Clone)]
pub(super) struct Events {
    began: Instant,
    inner: Arc<Mutex<Inner>>,
    /// Tells whoever waits for news.
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    last: VecDeque<Happened>,
    count: u64,
    under_way: BTreeSet<Action>,
}

impl Events {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, inner: Arc::default(), news: Arc::default() }
    }

    /// Adds what has just happened, and gives it back.
    pub(super) fn add(&self, text: impl Into<String>) -> String {
        let (text, at_ms) = (text.into(), self.now_ms());
        tracing::info!(text, "an event of the demo");
        let mut inner = self.lock();
        inner.count += 1;
        let number = inner.count;
        inner.last.push_back(Happened { number, at_ms, text: text.clone() });
        if inner.last.len() > SHOWN_MAX {
            inner.last.pop_front();
        }
        drop(inner);
        self.news.notify_one();
        text
    }

    /// Waits for the next event.
    pub(super) async fn next(&self) {
        self.news.notified().await;
    }

    /// Begins something that lasts until the answer is dropped.
    ///
    /// # Errors
    ///
    /// Code 409 when one of its kind is under way.
    pub(super) fn begin(&self, action: Action) -> Result<UnderWay, Error> {
        if !self.lock().under_way.insert(action) {
            return Err(Error::conflict("that is under way already; wait until it is over"));
        }
        Ok(UnderWay { action, events: self.clone() })
    }

    /// What is under way.
    pub(super) fn under_way(&self) -> Vec<String> {
        self.lock().under_way.iter().map(|action| action.name().to_owned()).collect()
    }

    /// The last events, the newest last.
    pub(super) fn last(&self) -> Vec<Happened> {
        self.lock().last.iter().cloned().collect()
    }

    /// Milliseconds since the demo began.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    action: Action,
    events: Events,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.events.lock().under_way.remove(&self.action);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_action_of_a_kind_is_under_way_and_the_next_may_begin_when_it_is_over() {
        let events = Events::new(Instant::now());
        let first = events.begin(Action::Drain).unwrap();
        assert_eq!(events.begin(Action::Drain).unwrap_err().code(), Error::CONFLICT);
        let other = events.begin(Action::CutLink).unwrap();
        assert_eq!(events.under_way(), ["cut-link", "drain"]);
        drop((first, other));
        assert!(events.begin(Action::Drain).is_ok());
    }

    #[test]
    fn the_list_keeps_the_last_events_and_no_more() {
        let events = Events::new(Instant::now());
        for number in 1..=SHOWN_MAX + 2 {
            events.add(number.to_string());
        }
        let last = events.last();
        assert_eq!(
            last.iter().map(|event| &*event.text).collect::<Vec<_>>(),
            ["3", "4", "5", "6", "7", "8", "9", "10"]
        );
        assert_eq!(last.last().unwrap().number, 10);
    }
}
