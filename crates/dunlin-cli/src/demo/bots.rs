//! The demo's bots: clients on real sockets, some WebSocket and some TCP, that talk in the lobby.
//!
//! Each bot has a task that keeps it in the room, and comes back when it is dropped. One more task, the director, has them
//! talk: `director.rs`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use dunlin_client::{Client, CloseReason, NotifyError, Push, RequestError};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::director::Director;
use super::messages::{Joined, Line, Member, Name};

const ROOM: &str = "lobby";
const NAMES: [&str; 12] = [
    "Tern", "Knot", "Ruff", "Pipit", "Wigeon", "Godwit", "Plover", "Snipe", "Stint", "Avocet", "Curlew",
    "Lapwing",
];
/// Names that a bot tries, one after another, when people have taken them.
const NAMES_TRIED: usize = 5;

/// What people did and the director has not taken up yet.
const HEARD_MAX: usize = 32;

/// All bots. They end when this is dropped.
pub(super) struct Flock {
    _tasks: JoinSet<()>,
}

impl Flock {
    /// Sends bots to the server at `addr`.
    pub(super) fn send(addr: SocketAddr, count: u16) -> Self {
        let mut tasks = JoinSet::new();
        let (ear, heard) = mpsc::channel(HEARD_MAX);
        let mut perches = Vec::new();
        for number in 0..usize::from(count) {
            let (seat, perch) = watch::channel(None);
            let scheme = if number % 2 == 0 { "ws" } else { "tcp" };
            let ear = (number == 0).then(|| ear.clone());
            tasks.spawn(Bot { number, url: format!("{scheme}://{addr}"), seat, ear }.live());
            perches.push(perch);
        }
        if count > 0 {
            tasks.spawn(Director::new(perches, heard).run());
        }
        Self { _tasks: tasks }
    }
}

/// A bot that is in the room.
#[derive(Clone)]
pub(super) struct Seated {
    client: Client,
    pub(super) name: Name,
}

impl Seated {
    /// Types for a while, then says it.
    pub(super) async fn say(&self, text: &str, typing: Duration) -> Result<(), NotifyError> {
        self.client.notify("Chat.typing", &json!({})).await?;
        sleep(typing).await;
        self.client.notify("Chat.say", &json!({ "text": text })).await
    }
}

/// One bot, in the room or on its way there.
struct Bot {
    number: usize,
    url: String,
    seat: watch::Sender<Option<Seated>>,
    /// One of the bots listens for all.
    ear: Option<mpsc::Sender<Heard>>,
}

impl Bot {
    async fn live(self) {
        loop {
            match self.stay().await {
                Ok(reason) => tracing::info!(bot = self.number, %reason, "a bot was dropped and comes back"),
                Err(error) => {
                    tracing::info!(bot = self.number, error = format!("{error:#}"), "a bot cannot come in");
                }
            }
            self.seat.send_replace(None);
            // Not all at once.
            sleep(Duration::from_millis(fastrand::u64(400..2_000))).await;
        }
    }

    /// Comes in and stays until the connection ends.
    async fn stay(&self) -> anyhow::Result<CloseReason> {
        let mut builder = Client::builder(&self.url);
        let pushes = self.ear.is_some().then(|| builder.subscribe_all());
        let client = builder.connect().await?;
        let joined = self.join(&client).await?;
        self.seat.send_replace(Some(Seated { client: client.clone(), name: joined.you }));
        if let (Some(ear), Some(mut pushes)) = (&self.ear, pushes) {
            for person in joined.members.into_iter().filter(|member| !member.bot) {
                ear.try_send(Heard::WasHere(person.name)).ok();
            }
            while let Some(push) = pushes.recv().await {
                if let Some(heard) = Heard::of(&push) {
                    // A crowd that does more than the bots can take up is not answered each time.
                    ear.try_send(heard).ok();
                }
            }
        }
        Ok(client.closed().await)
    }

    async fn join(&self, client: &Client) -> anyhow::Result<Joined> {
        let mut tried = 0;
        loop {
            let join = json!({ "room": ROOM, "name": name(self.number + tried * NAMES.len()), "bot": true });
            match client.request("Chat.join", &join).await {
                Ok(joined) => return Ok(joined),
                Err(RequestError::Server(error)) if error.code == 409 && tried < NAMES_TRIED => tried += 1,
                Err(error) => return Err(error).context("the chat does not let it in"),
            }
        }
    }
}

/// The name of a bot: birds, then birds with numbers.
fn name(number: usize) -> String {
    match (NAMES[number % NAMES.len()], number / NAMES.len()) {
        (bird, 0) => bird.to_owned(),
        (bird, round) => format!("{bird} {}", round + 1),
    }
}

/// What happened in the room and may be worth an answer.
#[derive(Debug)]
pub(super) enum Heard {
    /// Somebody was there before the bots.
    WasHere(Name),
    /// A person came in.
    Came(Name),
    /// Somebody said something, perhaps a bot.
    Said { from: Name, text: String },
}

impl Heard {
    fn of(push: &Push) -> Option<Self> {
        match &*push.route {
            "onJoin" => {
                push.json::<Member>().ok().filter(|member| !member.bot).map(|member| Self::Came(member.name))
            }
            "onLine" => {
                push.json::<Line>().ok().map(|line| Self::Said { from: line.from, text: line.text.into() })
            }
            _ => None,
        }
    }
}
