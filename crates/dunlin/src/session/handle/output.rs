//! What waits to leave a session, and how its end is asked for: pushes and answers come in from anywhere, and the shard that has the
//! connection takes them out.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Home, Session, SessionClosed};
use crate::session::outbox::{Outbox, Queued, Refused};
use crate::session::outgoing::{Outgoing, PushError};
use crate::session::{CloseReason, Pushed};

#[derive(Default)]
pub(super) struct Out {
    pub(super) outbox: Outbox,
    /// Set once: no push is taken any more, the shard ends the connection after what is queued.
    closing: Option<Box<CloseReason>>,
}

impl Session {
    fn wake_shard(&self) {
        if let Home::Shard { shard, slot } = &self.0.home {
            shard.inbox.wake_slot(*slot);
        }
    }

    pub(super) fn out(&self) -> MutexGuard<'_, Out> {
        self.0.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a push and wakes the shard when it does not know yet.
    pub(crate) fn send(&self, outgoing: &mut Outgoing<'_>) -> Result<Pushed, PushError> {
        let (result, is_news) = self.offer(outgoing);
        if is_news {
            self.wake_shard();
        }
        result
    }

    /// Queues a push; the second value says whether the shard must be told to look at this session.
    pub(crate) fn offer(&self, outgoing: &mut Outgoing<'_>) -> (Result<Pushed, PushError>, bool) {
        if self.is_closed() {
            return (Err(PushError::Closed), false);
        }
        match &self.0.home {
            Home::Shard { .. } => {}
            Home::Gate(gate) => return (gate.push(self, outgoing), false),
            Home::Node(_) => return (Err(PushError::Closed), false),
        }
        let packet = match outgoing.packet_for(self) {
            Ok(Some(packet)) => packet,
            Ok(None) => return (Ok(Pushed::Queued), false),
            Err(error) => return (Err(error), false),
        };
        let app = self.app();
        let mut out = self.out();
        if out.closing.is_some() {
            return (Err(PushError::Closed), false);
        }
        let result = match out.outbox.push(packet, outgoing.key(), &app.gate.send_queue) {
            Ok(pushed) => {
                if let Pushed::Displaced { dropped } = pushed {
                    app.stats.pushes_dropped.add(u64::from(dropped));
                }
                Ok(pushed)
            }
            Err(refused) => {
                app.stats.pushes_refused.add(1);
                if let Refused::FullAfterDrops { dropped } = refused {
                    app.stats.pushes_dropped.add(u64::from(dropped));
                }
                let disconnecting = refused == Refused::Disconnect;
                if disconnecting {
                    self.begin_close(&mut out, CloseReason::TooSlow);
                }
                Err(PushError::QueueFull { disconnecting })
            }
        };
        drop(out);
        let is_known = self.0.is_dirty.swap(true, Ordering::AcqRel);
        // A shard that waits for the socket has looked already and must look again to end the session.
        let is_ending = matches!(result, Err(PushError::QueueFull { disconnecting: true }));
        (result, !is_known || is_ending)
    }

    /// Queues an answer behind what waits already, for a socket that does not take more now.
    /// `false` says that the client is too slow and will be disconnected.
    pub(crate) fn queue_answer(&self, packet: Bytes) -> bool {
        let limits = &self.app().gate.send_queue;
        let mut out = self.out();
        let is_queued = out.outbox.answer(packet, limits).is_ok();
        if !is_queued {
            self.begin_close(&mut out, CloseReason::TooSlow);
        }
        is_queued
    }

    /// Asks for the end of the session. The first reason stands.
    pub(crate) fn end(&self, reason: CloseReason) -> Result<(), SessionClosed> {
        {
            let mut out = self.out();
            if out.closing.is_some() || self.is_closed() {
                return Err(SessionClosed);
            }
            if let Home::Gate(gate) = &self.0.home {
                gate.close(self, &reason);
            }
            self.begin_close(&mut out, reason);
        }
        self.raise_dirty();
        // Even if the shard was told before: it may have looked and be waiting for the socket.
        self.wake_shard();
        Ok(())
    }

    pub(super) fn begin_close(&self, out: &mut Out, reason: CloseReason) {
        out.closing.get_or_insert_with(|| Box::new(reason));
        self.0.is_closed.store(true, Ordering::Release);
    }

    /// Whether something may be waiting to be written or done; cheap, for the shard's hot path.
    pub(crate) fn has_output(&self) -> bool {
        self.0.is_dirty.load(Ordering::Acquire)
    }

    /// Takes the shard's note that there is something to do; whatever is queued from now on raises it again.
    pub(crate) fn clear_dirty(&self) {
        self.0.is_dirty.store(false, Ordering::Release);
    }

    /// Notes, on the shard itself, that there is still something to do.
    pub(crate) fn raise_dirty(&self) {
        self.0.is_dirty.store(true, Ordering::Release);
    }

    /// Hands queued packets to `take` until it has enough (`false`) or there are no more. Returns the reason to
    /// close when all is taken and the session is to end.
    pub(crate) fn take_output(&self, mut take: impl FnMut(Queued) -> bool) -> Option<CloseReason> {
        let mut out = self.out();
        while let Some(queued) = out.outbox.pop() {
            if !take(queued) {
                break;
            }
        }
        if out.outbox.is_empty() { out.closing.as_deref().cloned() } else { None }
    }

    /// Why the session is to end, if it is.
    pub(crate) fn closing(&self) -> Option<CloseReason> {
        self.out().closing.as_deref().cloned()
    }

    /// Tells the queue how many bytes the socket has not taken yet.
    pub(crate) fn set_unsent(&self, unsent: usize) {
        self.out().outbox.set_unsent(unsent);
    }
}
