//! The demo's chat: rooms where people and bots talk. The demo's page shows this very file.
//!
//! A room is a group of sessions, the names in it and its last lines. Its lock is held while a
//! push is queued, so that everybody hears everything in one order; queueing never waits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use dunlin::service::{Call, Extract, RateLimit};
use dunlin::{App, Error, Group, Groups, Msg, Result, Session, service};

use super::messages::{Join, Joined, Left, Line, Member, Name, Rename, Renamed, Say, Typing};

/// Lines that somebody who comes in is shown.
const HISTORY_LINES_MAX: usize = 50;

/// The whole server: `app().serve("127.0.0.1:3250").await` is all that is left to do.
pub(super) fn app() -> App {
    App::new().layer(RateLimit::per_session(20, Duration::from_secs(1))).service(Chat::default())
}

/// The rooms by name. A room lives as long as somebody is in it.
#[derive(Default)]
struct Chat {
    rooms: Mutex<HashMap<Name, Weak<Room>>>,
}

#[service]
impl Chat {
    /// Enters a room, under a name that nobody has there.
    #[request]
    async fn join(&self, session: Session, groups: Groups, Msg(join): Msg<Join>) -> Result<Joined> {
        let room = self.room(join.room, &groups);
        room.enter(&session, Member { name: join.name, bot: join.bot })
    }

    /// Says a line to everybody in the room, the speaker too.
    #[notify]
    async fn say(&self, seat: Seat, Msg(say): Msg<Say>) -> Result<()> {
        let mut talk = seat.room.lock();
        let line = Line::now(seat.name, say.text);
        seat.room.group.broadcast(&line)?;
        if talk.history.len() == HISTORY_LINES_MAX {
            talk.history.pop_front();
        }
        talk.history.push_back(line);
        Ok(())
    }

    /// Takes another name.
    #[request]
    async fn rename(&self, session: Session, seat: Seat, Msg(to): Msg<Rename>) -> Result<Rename> {
        let mut talk = seat.room.lock();
        talk.refuse_taken(&to.name)?;
        if let Some(me) = talk.members.iter_mut().find(|member| member.name == seat.name) {
            me.name = to.name.clone();
        }
        session.set(Seat { room: seat.room.clone(), name: to.name.clone() });
        seat.room.group.broadcast(&Renamed { from: seat.name, to: to.name.clone() })?;
        Ok(to)
    }

    /// Tells the others that somebody is typing.
    #[notify]
    async fn typing(&self, session: Session, seat: Seat) -> Result<()> {
        seat.room.group.multicast(&Typing { name: seat.name }, |other| *other != session)?;
        Ok(())
    }
}

impl Chat {
    fn room(&self, name: Name, groups: &Groups) -> Arc<Room> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(&name).and_then(Weak::upgrade) {
            return room;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Room { group: groups.group(&name), talk: Mutex::default() });
        rooms.insert(name, Arc::downgrade(&room));
        room
    }
}

struct Room {
    group: Group,
    talk: Mutex<Talk>,
}

#[derive(Default)]
struct Talk {
    members: Vec<Member>,
    history: VecDeque<Line>,
}

impl Room {
    fn enter(self: Arc<Self>, session: &Session, you: Member) -> Result<Joined> {
        if session.get::<Seat>().is_some() {
            return Err(Error::conflict("this session is in a room already"));
        }
        let mut talk = self.lock();
        talk.refuse_taken(&you.name)?;
        session.set(Seat { room: self.clone(), name: you.name.clone() });
        session.on_close(|session, _| session.get::<Seat>().iter().for_each(Seat::leave))?;
        self.group.add(session)?;
        talk.members.push(you.clone());
        self.group.multicast(&you, |other| other != session)?;
        Ok(Joined { members: talk.members.clone(), history: talk.history.clone(), you: you.name })
    }

    fn lock(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Talk {
    fn refuse_taken(&self, name: &Name) -> Result<()> {
        if self.members.iter().any(|member| member.name == *name) {
            return Err(Error::conflict("somebody here has this name"));
        }
        Ok(())
    }
}

/// Where a session sits, kept with it. A handler that takes it is for those who have joined.
#[derive(Clone)]
struct Seat {
    room: Arc<Room>,
    name: Name,
}

impl Seat {
    /// Tells the others; the session has left the group when it closed.
    fn leave(&self) {
        let mut talk = self.room.lock();
        talk.members.retain(|member| member.name != self.name);
        self.room.group.broadcast(&Left { name: self.name.clone() }).ok();
    }
}

impl Extract for Seat {
    fn extract(call: &mut Call) -> Result<Self> {
        call.session().get::<Self>().ok_or_else(|| Error::unauthenticated("join a room first"))
    }
}

#[cfg(test)]
mod tests;
