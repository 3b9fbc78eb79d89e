//! A chat server: clients log in to a room, and what one says everybody in the room hears.
//!
//! The program has the whole command line of `dunlin`: `serve` runs these services, `client` talks to them, `--help` shows the rest.

use std::process::ExitCode;

use dunlin::{App, Error, Event, Group, Groups, Msg, Result, Session, Uid, service};
use serde::{Deserialize, Serialize};

/// Who comes, and where to.
#[derive(Serialize, Deserialize)]
struct Join {
    room: String,
    name: String,
}

/// What somebody said, pushed to all in the room.
#[derive(Serialize, Deserialize, Event)]
#[event("onLine")]
struct Line {
    from: String,
    text: String,
}

struct Chat;

#[service]
impl Chat {
    /// Route `Chat.join`: logs in, enters a room, and answers who is there.
    #[request]
    async fn join(&self, session: Session, groups: Groups, Msg(join): Msg<Join>) -> Result<Vec<String>> {
        session.bind(join.name).await?;
        let room = groups.group(&join.room);
        room.add(&session)?;
        session.set(room.clone());
        Ok(room.uids().iter().map(ToString::to_string).collect())
    }

    /// Route `Chat.say`: `Uid` refuses whoever has not logged in.
    #[notify]
    async fn say(&self, session: Session, Uid(from): Uid, Msg(text): Msg<String>) -> Result<()> {
        let room = session.get::<Group>().ok_or_else(|| Error::forbidden("join a room first"))?;
        room.broadcast(&Line { from: from.to_string(), text })?;
        Ok(())
    }
}

fn app() -> App {
    App::new().service(Chat)
}

fn main() -> ExitCode {
    dunlin_cli::run(app())
}

#[cfg(test)]
mod tests;
