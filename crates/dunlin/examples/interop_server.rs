//! The server that `cargo xtask interop clients` lets other people's clients talk to.
//!
//! Two applications in one process, told apart by what the gate may shorten: `plain` has neither a route dictionary
//! nor compression, `dict` has both. Each prints `listening ADDR NAME` once it serves, and the process ends with its
//! standard input, so that it never outlives the run that started it.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use dunlin::{App, Error, Event, Groups, Msg, Node, Result, Session, StartError, service};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

/// How short a body may be and still be compressed for clients that can inflate it.
const COMPRESS_FROM: usize = 64;

#[derive(Deserialize)]
struct Join {
    name: String,
}

#[derive(Serialize)]
struct Joined {
    members: usize,
}

#[derive(Serialize, Deserialize, Event)]
#[event("onMessage")]
struct Message {
    text: String,
}

struct Room;

#[service(name = "Room", rename = "PascalCase")]
impl Room {
    /// Returns what it got, read and written again.
    #[request]
    async fn echo(&self, Msg(body): Msg<Value>) -> Result<Value> {
        Ok(body)
    }

    /// Puts the session into the room.
    #[request]
    async fn join(&self, session: Session, groups: Groups, Msg(join): Msg<Join>) -> Result<Joined> {
        if join.name.is_empty() {
            return Err(Error::bad_request("a name is needed"));
        }
        let room = groups.group("room");
        room.add(&session)?;
        Ok(Joined { members: room.count() })
    }

    /// Tells everybody in the room.
    #[notify]
    async fn message(&self, groups: Groups, Msg(message): Msg<Message>) -> Result<()> {
        groups.group("room").broadcast(&message)?;
        Ok(())
    }

    /// Kicks the session that asks for it.
    #[notify]
    async fn kick_me(&self, session: Session) -> Result<()> {
        session.kick("asked")?;
        Ok(())
    }

    /// Fails with a code that no other fault has.
    #[request]
    async fn fail(&self) -> Result<()> {
        Err(Error::new(418, "asked to fail"))
    }
}

/// Starts one application on a port that the kernel picks, and says where it is.
async fn start(name: &str, app: App) -> std::result::Result<Node, StartError> {
    let app = app.configure(|gate| {
        gate.heartbeat_interval = Duration::from_secs(1);
        // Test suites of other people send as fast as they can.
        gate.trust_clients();
    });
    let node = app.service(Room).listen("127.0.0.1:0").start().await?;
    for addr in node.addrs() {
        // Whoever started this process reads the line, or is gone and ends it by its standard input.
        writeln!(io::stdout().lock(), "listening {addr} {name}").ok();
    }
    Ok(node)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), StartError> {
    let dictionary = [("Room.Echo", 1), ("Room.Message", 2), ("onMessage", 7)];
    let short = App::new().dictionary(dictionary).configure(|gate| gate.compress_from = Some(COMPRESS_FROM));
    let nodes = [start("plain", App::new()).await?, start("dict", short).await?];

    let (ended, end) = oneshot::channel();
    thread::spawn(move || {
        io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
        ended.send(()).ok();
    });
    // A thread that is gone without a word means the same.
    end.await.ok();
    for node in nodes {
        node.stop().await;
    }
    Ok(())
}
