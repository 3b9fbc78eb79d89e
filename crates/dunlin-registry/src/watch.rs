//! Watches, whoever gives their events.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use tokio::sync::watch;

use crate::error::RegistryError;
use crate::limits::WATCH_EVENTS_MAX;
use crate::store::{Event, KeyRange, Store};

/// Where the events of a watch come from. Implemented by each kind of registry.
pub trait WatchSource: fmt::Debug + Send {
    /// Some events, in order, as soon as there is one, and the revision to watch from after them. Dropping the future loses nothing.
    fn next_events(&mut self) -> BoxFuture<'_, Result<(Vec<Event>, u64), RegistryError>>;
}

/// A watch of some keys: every event, in order and once.
#[derive(Debug)]
pub struct Watch {
    source: Box<dyn WatchSource>,
    events: VecDeque<Event>,
    next: u64,
}

impl Watch {
    /// A watch of what a source gives, from a revision on.
    #[must_use]
    pub fn new(source: Box<dyn WatchSource>, next: u64) -> Self {
        Self { source, events: VecDeque::new(), next }
    }

    /// The next event, as soon as there is one.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Compacted`] when the watch is so far behind that events are no longer kept; another one when nobody gives it
    /// events any more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Event, RegistryError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let (events, next) = self.source.next_events().await?;
            self.events = events.into();
            self.next = next;
        }
    }

    /// Takes the events that are there already.
    pub fn take_ready(&mut self) -> impl Iterator<Item = Event> + use<> {
        std::mem::take(&mut self.events).into_iter()
    }

    /// The revision to watch from when this watch ends here.
    #[must_use]
    pub fn resume_revision(&self) -> u64 {
        self.events.front().map_or(self.next, Event::revision)
    }

    /// The events as a stream, which ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, RegistryError>> + Send {
        try_unfold(self, |mut watch| async move { Ok(Some((watch.next().await?, watch))) })
    }
}

/// A store in this process that watches can look into.
pub(crate) trait WatchedStore: fmt::Debug + Send + Sync + 'static {
    /// Looks at the store.
    fn with_store<R>(&self, look: impl FnOnce(&Store) -> R) -> R;

    /// Its revision, told as it changes. It is told for as long as the store is there.
    fn revisions(&self) -> watch::Receiver<u64>;

    /// Waits until nothing more happens to it.
    fn stopped(&self) -> impl Future<Output = ()> + Send;
}

/// A watch of a store in this process. It asks for what happened since it asked last, so a slow one costs nobody anything.
#[derive(Debug)]
pub(crate) struct StoreSource<S> {
    watched: Arc<S>,
    range: KeyRange,
    next: u64,
    revisions: watch::Receiver<u64>,
}

impl<S: WatchedStore> StoreSource<S> {
    /// From a revision on; from the next one that comes if it is 0.
    pub(crate) fn watch(watched: Arc<S>, range: KeyRange, from_revision: u64) -> Watch {
        let revisions = watched.revisions();
        let next = if from_revision == 0 { watched.with_store(Store::revision) + 1 } else { from_revision };
        Watch::new(Box::new(Self { watched, range, next, revisions }), next)
    }
}

impl<S: WatchedStore> WatchSource for StoreSource<S> {
    fn next_events(&mut self) -> BoxFuture<'_, Result<(Vec<Event>, u64), RegistryError>> {
        Box::pin(async {
            loop {
                self.revisions.borrow_and_update();
                let (events, next) = self
                    .watched
                    .with_store(|store| store.events_since(self.next, &self.range, WATCH_EVENTS_MAX))?;
                self.next = next;
                if !events.is_empty() {
                    return Ok((events, next));
                }
                let is_over = tokio::select! {
                    biased;
                    () = self.watched.stopped() => true,
                    changed = self.revisions.changed() => changed.is_err(),
                };
                if is_over {
                    return Err(RegistryError::Stopped);
                }
            }
        })
    }
}
