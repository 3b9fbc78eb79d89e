//! Watches: they ask the store for what happened since they asked last, so a slow one costs nobody anything.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::RegistryError;
use crate::limits::WATCH_EVENTS_MAX;
use crate::node::Shared;
use crate::store::{Event, KeyRange};

/// A watch of some keys: every event, in order and once.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    range: KeyRange,
    next: u64,
    revisions: watch::Receiver<u64>,
    events: VecDeque<Event>,
}

impl Watch {
    /// From a revision on; from the next one that comes if it is 0.
    pub(crate) fn new(shared: Arc<Shared>, range: KeyRange, from_revision: u64) -> Self {
        let revisions = shared.revision.subscribe();
        let next = if from_revision == 0 { shared.store().revision() + 1 } else { from_revision };
        Self { shared, range, next, revisions, events: VecDeque::new() }
    }

    /// The next event, as soon as there is one.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Compacted`] when the watch is so far behind that events are no longer kept; [`RegistryError::Stopped`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Event, RegistryError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.revisions.borrow_and_update();
            let (events, next) =
                self.shared.store().events_since(self.next, &self.range, WATCH_EVENTS_MAX)?;
            self.next = next;
            self.events = events.into();
            if !self.events.is_empty() {
                continue;
            }
            let stop = self.shared.stop.clone();
            let changed = stop.run_until_cancelled(self.revisions.changed()).await;
            if !matches!(changed, Some(Ok(()))) {
                return Err(RegistryError::Stopped);
            }
        }
    }

    /// Takes the events that are there already.
    pub(crate) fn take_ready(&mut self) -> impl Iterator<Item = Event> + use<> {
        std::mem::take(&mut self.events).into_iter()
    }

    /// The revision to watch from when this watch ends here.
    #[must_use]
    pub fn resume_revision(&self) -> u64 {
        self.events.front().map_or(self.next, Event::revision)
    }
}
