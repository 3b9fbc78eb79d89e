//! The chat: its handlers are those of one node alone.

use dunlin::service::Call;
use dunlin::{Error, Event, Groups, Msg, Result, Session, Uid, service};
use serde::{Deserialize, Serialize};

/// Enters a room.
#[derive(Serialize, Deserialize)]
pub(crate) struct Join {
    /// Which.
    pub(crate) room: String,
    /// Under which name.
    pub(crate) name: String,
}

/// A line that somebody said.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event("onLine")]
pub(crate) struct Line {
    /// Who.
    pub(crate) from: String,
    /// What.
    pub(crate) text: String,
}

/// The service.
pub(crate) struct Chat;

#[service]
impl Chat {
    /// Route `Chat.join`: logs in, enters a room, and answers who is there.
    #[request]
    async fn join(&self, session: Session, groups: Groups, Msg(join): Msg<Join>) -> Result<Vec<String>> {
        session.bind(join.name).await?;
        session.share("room", &join.room)?;
        let room = groups.group(&join.room);
        room.add(&session)?;
        Ok(room.uids().iter().map(ToString::to_string).collect())
    }

    /// Route `Chat.say`: everybody in the room hears it.
    #[notify]
    async fn say(
        &self,
        session: Session,
        groups: Groups,
        Uid(from): Uid,
        Msg(text): Msg<String>,
    ) -> Result<()> {
        let room: String = session.shared("room").ok_or_else(|| Error::forbidden("join a room first"))?;
        groups.group(&room).broadcast(&Line { from: from.to_string(), text })?;
        Ok(())
    }
}

/// What decides on the node of a call: the room that the session is in, or is about to enter.
pub(crate) fn room_of(call: &Call) -> Vec<u8> {
    let entered = || call.session().shared::<String>("room");
    let entering = || call.serializer().deserialize::<Join>(call.body()).ok().map(|join| join.room);
    entered().or_else(entering).unwrap_or_default().into_bytes()
}

#[cfg(test)]
mod tests {
    use dunlin::{App, LocalClient, TestCluster};

    use super::*;

    async fn join(client: &LocalClient, room: &str, name: &str) -> Vec<String> {
        let join = Join { room: room.to_owned(), name: name.to_owned() };
        client.request("Chat.join", join).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn people_on_different_gates_meet_in_their_rooms_wherever_those_are() {
        let mut cluster = TestCluster::new();
        for name in ["chat-1", "chat-2"] {
            cluster.start(name, App::new().service(Chat)).await.unwrap();
        }
        cluster.start("gate-1", App::new().dispatch_by("Chat", room_of)).await.unwrap();
        // A node may be a gate and have the chat as well.
        cluster.start("gate-2", App::new().dispatch_by("Chat", room_of).service(Chat)).await.unwrap();
        for room in ["lobby", "kitchen", "garden"] {
            let ann = cluster.connect("gate-1").await.unwrap();
            let bob = cluster.connect("gate-2").await.unwrap();
            join(&ann, room, "ann").await;
            let mut members = join(&bob, room, "bob").await;
            members.sort_unstable();
            assert_eq!(members, ["ann", "bob"]);
            bob.notify("Chat.say", "hi").await.unwrap();
            let line: Line = ann.expect().await.unwrap();
            assert_eq!((line.from.as_str(), line.text.as_str()), ("bob", "hi"));
        }
    }
}
