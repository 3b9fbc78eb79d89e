//! Pushes: what the server says unasked, and who listens.
//!
//! Invariant: handing a push out never waits; what does not fit a subscriber's queue is dropped and counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Something the server said unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What it is about.
    pub route: Arc<str>,
    /// What it carries.
    pub payload: Bytes,
}

impl Push {
    /// Reads the payload as JSON.
    ///
    /// # Errors
    ///
    /// When it is not the JSON expected.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.payload)
    }
}

/// The pushes of one subscription, oldest first.
///
/// Its queue is bounded (see [`ClientBuilder::push_queue`](crate::ClientBuilder::push_queue)): pushes that come while it is full are
/// dropped, and [`Pushes::dropped`] counts them. It lives through reconnects and does not keep the client alive.
#[derive(Debug)]
pub struct Pushes {
    receiver: mpsc::Receiver<Push>,
    dropped: Arc<AtomicU64>,
}

impl Pushes {
    /// Waits for the next push; `None` when the client is closed and all were taken.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a push not returned is not lost.
    pub async fn recv(&mut self) -> Option<Push> {
        self.receiver.recv().await
    }

    /// The next push if one has come.
    pub fn try_recv(&mut self) -> Option<Push> {
        self.receiver.try_recv().ok()
    }

    /// [`Pushes::recv`] for those who write futures by hand.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Push>> {
        self.receiver.poll_recv(cx)
    }

    /// How many pushes were dropped because this subscription's queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Everybody who listens.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_route: HashMap<String, Vec<Subscriber>>,
    to_all: Vec<Subscriber>,
    is_closed: bool,
}

#[derive(Debug)]
struct Subscriber {
    sender: mpsc::Sender<Push>,
    dropped: Arc<AtomicU64>,
}

impl Subscriptions {
    /// Listens to one route, or to all.
    pub(crate) fn subscribe(&self, route: Option<&str>, queue_len: usize) -> Pushes {
        let (sender, receiver) = mpsc::channel(queue_len.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let mut inner = self.lock();
        // After the end nobody will push; the sender is dropped here, so that `recv` says so at once.
        if !inner.is_closed {
            let subscribers = match route {
                Some(route) => inner.by_route.entry(route.to_owned()).or_default(),
                None => &mut inner.to_all,
            };
            subscribers.push(Subscriber { sender, dropped: Arc::clone(&dropped) });
        }
        Pushes { receiver, dropped }
    }

    /// Hands a push to everybody who listens for it.
    pub(crate) fn publish(&self, route: &str, payload: Vec<u8>) {
        let mut inner = self.lock();
        let Inner { by_route, to_all, .. } = &mut *inner;
        let of_route = by_route.get_mut(route);
        if of_route.is_none() && to_all.is_empty() {
            tracing::trace!(route, "nobody listens for this push");
            return;
        }
        let push = Push { route: Arc::from(route), payload: Bytes::from(payload) };
        let mut is_route_left = true;
        if let Some(subscribers) = of_route {
            subscribers.retain(|subscriber| subscriber.offer(&push));
            is_route_left = !subscribers.is_empty();
        }
        to_all.retain(|subscriber| subscriber.offer(&push));
        if !is_route_left {
            by_route.remove(route);
        }
    }

    /// Ends all subscriptions: what is queued can still be taken.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        *inner = Inner { is_closed: true, ..Inner::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The lists are whole between any two statements, so a panic elsewhere under the lock does no harm.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    /// Whether the subscriber is still there.
    fn offer(&self, push: &Push) -> bool {
        match self.sender.try_send(push.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(subscriptions: &Subscriptions, route: &str, payload: &str) {
        subscriptions.publish(route, payload.as_bytes().to_vec());
    }

    fn take(pushes: &mut Pushes) -> Option<String> {
        let push = pushes.try_recv()?;
        Some(format!("{}={}", push.route, String::from_utf8_lossy(&push.payload)))
    }

    #[test]
    fn push_reaches_all_who_listen_to_its_route_or_to_all() {
        let subscriptions = Subscriptions::default();
        let mut first = subscriptions.subscribe(Some("a"), 4);
        let mut second = subscriptions.subscribe(Some("a"), 4);
        let mut other = subscriptions.subscribe(Some("b"), 4);
        let mut all = subscriptions.subscribe(None, 4);
        publish(&subscriptions, "a", "1");
        for pushes in [&mut first, &mut second, &mut all] {
            assert_eq!(take(pushes).as_deref(), Some("a=1"));
        }
        assert_eq!(take(&mut other), None);
    }

    #[test]
    fn push_beyond_the_queue_is_dropped_and_counted() {
        let subscriptions = Subscriptions::default();
        let mut pushes = subscriptions.subscribe(Some("a"), 2);
        for payload in ["1", "2", "3", "4"] {
            publish(&subscriptions, "a", payload);
        }
        assert_eq!(pushes.dropped(), 2);
        assert_eq!(take(&mut pushes).as_deref(), Some("a=1"));
        publish(&subscriptions, "a", "5");
        assert_eq!(take(&mut pushes).as_deref(), Some("a=2"));
        assert_eq!(take(&mut pushes).as_deref(), Some("a=5"));
        assert_eq!(pushes.dropped(), 2);
    }

    #[test]
    fn subscriber_that_went_leaves_nothing_behind() {
        let subscriptions = Subscriptions::default();
        drop(subscriptions.subscribe(Some("a"), 2));
        drop(subscriptions.subscribe(None, 2));
        publish(&subscriptions, "a", "1");
        let inner = subscriptions.lock();
        assert!(inner.by_route.is_empty() && inner.to_all.is_empty());
    }

    #[tokio::test]
    async fn closing_ends_subscriptions_after_what_is_queued_and_new_ones_at_once() {
        let subscriptions = Subscriptions::default();
        let mut before = subscriptions.subscribe(Some("a"), 2);
        publish(&subscriptions, "a", "1");
        subscriptions.close();
        let mut after = subscriptions.subscribe(Some("a"), 2);
        publish(&subscriptions, "a", "2");
        assert_eq!(before.recv().await.unwrap().payload, "1");
        assert_eq!(before.recv().await, None);
        assert_eq!(after.recv().await, None);
    }
}
