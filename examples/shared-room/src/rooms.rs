//! The rooms of one backend: who is in them, and the lines that were said, each with its number.

use std::collections::{HashMap, VecDeque};

use dunlin::service::Call;
use dunlin::{App, Error, Event, Groups, Msg, Result, Session, Uid, service};
use serde::{Deserialize, Serialize};

/// Lines that whoever enters is told.
const LINES_KEPT: usize = 50;

/// The room is new here, or the session is: enter it first.
pub(crate) const ENTER_FIRST: u32 = 1001;

/// Enters a room.
#[derive(Serialize, Deserialize)]
pub(crate) struct Enter {
    /// Which.
    pub(crate) room: String,
    /// Under which name.
    pub(crate) name: String,
}

/// A line of a room. Numbers of a room begin with 1 and leave none out, so a member sees whether it missed one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event("onLine")]
pub(crate) struct Line {
    /// Its number in the room.
    pub(crate) number: u64,
    /// Who.
    pub(crate) from: String,
    /// What.
    pub(crate) text: String,
}

/// The service.
#[derive(Default)]
pub(crate) struct Rooms(HashMap<String, Room>);

#[derive(Default)]
struct Room {
    lines: VecDeque<Line>,
    last_number: u64,
}

#[service(serial)]
impl Rooms {
    /// Route `Rooms.enter`: answers the last lines.
    #[request]
    async fn enter(&mut self, session: Session, groups: Groups, Msg(enter): Msg<Enter>) -> Result<Vec<Line>> {
        session.bind(enter.name).await?;
        // It travels with the session: by it the gates find the room's owner.
        session.share("room", &enter.room)?;
        let members = groups.group(&enter.room);
        if !members.contains(&session) {
            members.add(&session)?;
        }
        Ok(self.0.entry(enter.room).or_default().lines.iter().cloned().collect())
    }

    /// Route `Rooms.say`: answers the number of the line.
    #[request]
    async fn say(
        &mut self,
        session: Session,
        groups: Groups,
        from: Uid,
        Msg(text): Msg<String>,
    ) -> Result<u64> {
        let room: String = session.shared("room").unwrap_or_default();
        let members = groups.get(&room).filter(|members| members.contains(&session));
        let (Some(members), Some(room)) = (members, self.0.get_mut(&room)) else {
            return Err(Error::new(ENTER_FIRST, "enter the room first"));
        };
        room.last_number += 1;
        let line = Line { number: room.last_number, from: from.0.to_string(), text };
        members.broadcast(&line)?;
        if room.lines.len() == LINES_KEPT {
            room.lines.pop_front();
        }
        room.lines.push_back(line);
        Ok(room.last_number)
    }

    /// A room is forgotten when nobody is in it.
    #[every("1m")]
    async fn forget(&mut self, groups: Groups) {
        self.0.retain(|room, _| groups.get(room).is_some_and(|members| members.count() > 0));
    }
}

/// What owns rooms.
pub(crate) fn backend() -> App {
    App::new().service(Rooms::default())
}

/// What clients connect to: everything of one room goes to the same backend.
pub(crate) fn gate() -> App {
    App::new().dispatch_by("Rooms", |call| room_of(call).into_bytes())
}

/// The room that the session is about to enter, or is in.
fn room_of(call: &Call) -> String {
    let entering = || call.serializer().deserialize::<Enter>(call.body()).ok().map(|enter| enter.room);
    let is_entering = call.route() == "Rooms.enter";
    let entered = || call.session().shared("room");
    is_entering.then(entering).flatten().or_else(entered).unwrap_or_default()
}

#[cfg(test)]
mod tests;
