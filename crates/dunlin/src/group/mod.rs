//! Groups of sessions: rooms, tables, channels. A broadcast is encoded once and never waits for anybody.
//!
//! A named group lives while somebody holds it or is a member of it; membership ends with the session.
//!
//! Locks are taken in one order, the session's before the group's, so that a session which ends while it is being
//! added is never left behind.

mod registry;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use dunlin_cluster::limits::FRAME_SESSIONS_MAX;
use hashbrown::HashMap;

pub use registry::Groups;

use crate::app::Shared;
use crate::cluster::GateLink;
use crate::edge::SlotKey;
use crate::event::Event;
use crate::session::{Home, Outgoing, PushError, Session, SessionId};

/// Why a group refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The group was closed.
    #[error("the group is closed")]
    Closed,
    /// The session is a member already.
    #[error("the session is already a member of the group")]
    AlreadyMember,
    /// The session is not a member.
    #[error("the session is not a member of the group")]
    NotMember,
    /// The session is over.
    #[error("the session is closed")]
    SessionClosed,
}

/// Why a broadcast did not even begin. What single members did with it is in [`Delivery`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The group was closed.
    #[error("the group is closed")]
    Closed,
    /// The event could not be made into a packet.
    #[error("the event cannot be sent")]
    Push(#[from] PushError),
}

/// What became of a broadcast: each member it was meant for is counted in exactly one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Members whose send queue took it.
    pub queued: usize,
    /// Members that were closed, whose send queue was full, or for whom the packet would be too long.
    pub refused: usize,
}

/// A set of sessions that can be addressed together. Cloning is cheap and every clone is the same group.
#[derive(Clone)]
pub struct Group(Arc<GroupInner>);

pub(crate) struct GroupInner {
    name: Arc<str>,
    app: Weak<Shared>,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    by_id: HashMap<SessionId, Session, foldhash::fast::RandomState>,
    /// The members as a list, rebuilt by the first broadcast after a change, so that a broadcast walks it unlocked.
    snapshot: Option<Arc<[Session]>>,
    is_closed: bool,
}

impl Group {
    fn new(name: Arc<str>, app: Weak<Shared>) -> Self {
        Self(Arc::new(GroupInner { name, app, members: Mutex::default() }))
    }

    /// The group's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Makes a session a member. It leaves by itself when it ends.
    ///
    /// # Errors
    ///
    /// [`GroupError::Closed`], [`GroupError::AlreadyMember`] or [`GroupError::SessionClosed`].
    pub fn add(&self, session: &Session) -> Result<(), GroupError> {
        if self.0.lock().is_closed {
            return Err(GroupError::Closed);
        }
        let mut outcome = Err(GroupError::AlreadyMember);
        session
            .join(&self.0, || {
                outcome = self.0.insert(session);
                outcome.ok()
            })
            .map_err(|_| GroupError::SessionClosed)?;
        outcome
    }

    /// Ends a session's membership.
    ///
    /// # Errors
    ///
    /// [`GroupError::Closed`] or [`GroupError::NotMember`].
    pub fn remove(&self, session: &Session) -> Result<(), GroupError> {
        if self.0.lock().is_closed {
            return Err(GroupError::Closed);
        }
        if !self.0.forget(session.id()) {
            return Err(GroupError::NotMember);
        }
        session.leave(&self.0);
        Ok(())
    }

    /// Whether the session is a member.
    #[must_use]
    pub fn contains(&self, session: &Session) -> bool {
        self.0.lock().by_id.contains_key(&session.id())
    }

    /// How many members there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().by_id.len()
    }

    /// The members at this moment, in no particular order.
    #[must_use]
    pub fn members(&self) -> Vec<Session> {
        self.0.lock().by_id.values().cloned().collect()
    }

    /// The uids of the members that have one, in no particular order.
    #[must_use]
    pub fn uids(&self) -> Vec<Arc<str>> {
        self.members().iter().filter_map(Session::uid).collect()
    }

    /// Sends an event to every member. Queues it and never waits; the count says what each queue did with it.
    ///
    /// # Errors
    ///
    /// [`BroadcastError`] when the group is closed or the event cannot be encoded for anybody; nobody was sent anything
    /// then.
    pub fn broadcast<E: Event>(&self, event: &E) -> Result<Delivery, BroadcastError> {
        self.multicast(event, |_| true)
    }

    /// Sends an event to the members that `filter` picks.
    ///
    /// # Errors
    ///
    /// As [`Group::broadcast`].
    pub fn multicast<E: Event>(
        &self,
        event: &E,
        filter: impl FnMut(&Session) -> bool,
    ) -> Result<Delivery, BroadcastError> {
        let app = self.0.app.upgrade().ok_or(BroadcastError::Closed)?;
        let mut outgoing = Outgoing::event(&app, event)?;
        self.0.deliver(&app, &mut outgoing, filter)
    }

    /// Sends bytes to every member under a route, as they are.
    ///
    /// # Errors
    ///
    /// As [`Group::broadcast`].
    pub fn broadcast_raw(&self, route: &str, body: impl Into<Bytes>) -> Result<Delivery, BroadcastError> {
        let app = self.0.app.upgrade().ok_or(BroadcastError::Closed)?;
        self.0.deliver(&app, &mut Outgoing::raw(&app, route, body.into()), |_| true)
    }

    /// Closes the group: its members leave, and whatever is asked of it afterwards fails.
    ///
    /// # Errors
    ///
    /// [`GroupError::Closed`] when it was closed already.
    pub fn close(&self) -> Result<(), GroupError> {
        let members = {
            let mut members = self.0.lock();
            if std::mem::replace(&mut members.is_closed, true) {
                return Err(GroupError::Closed);
            }
            members.snapshot = None;
            std::mem::take(&mut members.by_id)
        };
        for session in members.values() {
            session.leave(&self.0);
        }
        Ok(())
    }
}

impl GroupInner {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, session: &Session) -> Result<(), GroupError> {
        let mut members = self.lock();
        if members.is_closed {
            return Err(GroupError::Closed);
        }
        if members.by_id.contains_key(&session.id()) {
            return Err(GroupError::AlreadyMember);
        }
        members.by_id.insert(session.id(), session.clone());
        members.snapshot = None;
        Ok(())
    }

    /// Takes a session out, telling whether it was in.
    pub(crate) fn forget(&self, id: SessionId) -> bool {
        let mut members = self.lock();
        members.snapshot = None;
        members.by_id.remove(&id).is_some()
    }

    fn snapshot(&self) -> Result<Arc<[Session]>, BroadcastError> {
        let mut members = self.lock();
        if members.is_closed {
            return Err(BroadcastError::Closed);
        }
        if let Some(snapshot) = &members.snapshot {
            return Ok(snapshot.clone());
        }
        let mut sessions: Vec<Session> = members.by_id.values().cloned().collect();
        // In the order in which they lie in the shards' tables: a broadcast then walks memory forwards.
        sessions.sort_unstable_by_key(|session| match session.home() {
            Home::Shard { shard, slot } => (0, shard.index as u64, slot.index),
            Home::Gate(gate) => (1, gate.node(), 0),
            Home::Node(_) => (2, 0, 0),
        });
        let snapshot: Arc<[Session]> = sessions.into();
        members.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }

    fn deliver(
        &self,
        app: &Shared,
        outgoing: &mut Outgoing<'_>,
        filter: impl FnMut(&Session) -> bool,
    ) -> Result<Delivery, BroadcastError> {
        deliver(app, &self.snapshot()?, outgoing, filter)
    }
}

/// Offers a push to each session's queue, then hands each shard one item, whom to look at, and each other node one frame, with
/// the sessions it has.
pub(crate) fn deliver(
    app: &Shared,
    sessions: &[Session],
    outgoing: &mut Outgoing<'_>,
    mut filter: impl FnMut(&Session) -> bool,
) -> Result<Delivery, BroadcastError> {
    let mut delivery = Delivery::default();
    let mut too_long = None;
    let mut news = News { app, by_shard: vec![Vec::new(); app.inboxes.len()] };
    let mut afar = Afar::default();
    for session in sessions {
        if !filter(session) {
            continue;
        }
        if let Home::Gate(gate) = session.home()
            && outgoing.is_same_for_all()
        {
            afar.add(gate, session, outgoing, &mut delivery);
            continue;
        }
        let (result, is_news) = session.offer(outgoing);
        match result {
            Ok(_) => delivery.queued += 1,
            Err(error) => {
                delivery.refused += 1;
                if matches!(error, PushError::TooLong { .. }) {
                    too_long = Some(error);
                }
            }
        }
        if is_news
            && let Home::Shard { shard, slot } = session.home()
            && let Some(slots) = news.by_shard.get_mut(shard.index)
        {
            slots.push(*slot);
        }
    }
    afar.send(outgoing, &mut delivery);
    match too_long {
        // Clients differ in how long a packet becomes: it is an error when it was too long for all.
        Some(error) if delivery.queued == 0 => Err(error.into()),
        _ => Ok(delivery),
    }
}

/// Sessions of one other node that a push is for. They come one node after another.
#[derive(Default)]
struct Afar {
    gate: Option<Arc<GateLink>>,
    sessions: Vec<u64>,
}

impl Afar {
    fn add(
        &mut self,
        gate: &Arc<GateLink>,
        session: &Session,
        outgoing: &Outgoing<'_>,
        delivery: &mut Delivery,
    ) {
        if session.is_closed() {
            delivery.refused += 1;
            return;
        }
        let is_same = self.gate.as_ref().is_some_and(|same| Arc::ptr_eq(same, gate));
        if !is_same || self.sessions.len() >= FRAME_SESSIONS_MAX {
            self.send(outgoing, delivery);
            self.gate = Some(gate.clone());
        }
        self.sessions.push(session.id().get());
    }

    fn send(&mut self, outgoing: &Outgoing<'_>, delivery: &mut Delivery) {
        let sessions = std::mem::take(&mut self.sessions);
        let Some(gate) = self.gate.as_ref().filter(|_| !sessions.is_empty()) else { return };
        let count = sessions.len();
        match gate.push_to_all(outgoing, sessions) {
            Ok(()) => delivery.queued += count,
            Err(_) => delivery.refused += count,
        }
    }
}

/// Whom each shard is to look at. Told when dropped, so that nobody waits for ever for what is queued already when the
/// application's filter panics half-way.
struct News<'a> {
    app: &'a Shared,
    by_shard: Vec<Vec<SlotKey>>,
}

impl Drop for News<'_> {
    fn drop(&mut self) {
        for (inbox, slots) in self.app.inboxes.iter().zip(std::mem::take(&mut self.by_shard)) {
            if !slots.is_empty() {
                inbox.wake_slots(slots);
            }
        }
    }
}

impl Drop for GroupInner {
    fn drop(&mut self) {
        if let Some(app) = self.app.upgrade() {
            app.groups.purge(&self.name);
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name())
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
