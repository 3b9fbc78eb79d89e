//! The demo's bots: clients on real sockets, some WebSocket and some TCP, that talk in the lobby.
//!
//! Each bot has a task that keeps it in the room, and comes back when it is dropped. One more task, the director, decides
//! who says what and when. What they say: `script.rs`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use dunlin_client::{Client, CloseReason, NotifyError, Push, RequestError};
use fastrand::Rng;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::messages::{Joined, Line, Member, Name};
use super::script::{SceneLine, Scenes, answer, greeting};

const ROOM: &str = "lobby";
const NAMES: [&str; 12] = [
    "Tern", "Knot", "Ruff", "Pipit", "Wigeon", "Godwit", "Plover", "Snipe", "Stint", "Avocet", "Curlew",
    "Lapwing",
];
/// Names that a bot tries, one after another, when people have taken them.
const NAMES_TRIED: usize = 5;

/// What people did and the director has not taken up yet.
const HEARD_MAX: usize = 32;
/// What is still to be said to people; older things are forgotten.
const CUES_MAX: usize = 4;
/// People that are greeted as old friends when they come again.
const KNOWN_MAX: usize = 100;
/// The first lines come quickly, so that a page that is opened at once finds some.
const QUICK_LINES: u32 = 4;

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
struct Seated {
    client: Client,
    name: Name,
}

impl Seated {
    /// Types for a while, then says it.
    async fn say(&self, text: &str, typing: Duration) -> Result<(), NotifyError> {
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
enum Heard {
    /// Somebody was there before the bots.
    WasHere(Name),
    Came(Name),
    Said {
        from: Name,
        text: String,
    },
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

/// Something a bot is to say.
struct Cue {
    bot: usize,
    text: String,
}

/// Decides who says what: to people first, and small talk otherwise.
struct Director {
    perches: Vec<watch::Receiver<Option<Seated>>>,
    heard: mpsc::Receiver<Heard>,
    rng: Rng,
    scenes: Scenes,
    scene: &'static [SceneLine],
    /// Which bot has which voice in this scene.
    cast: Vec<usize>,
    cues: VecDeque<Cue>,
    known: VecDeque<Name>,
    /// The person who talks with the bots, and the bot that answered last.
    partner: Option<(Name, usize)>,
    lines_said: u32,
}

impl Director {
    fn new(perches: Vec<watch::Receiver<Option<Seated>>>, heard: mpsc::Receiver<Heard>) -> Self {
        Self {
            heard,
            rng: Rng::new(),
            scenes: Scenes::new(perches.len()),
            scene: &[],
            cast: (0..perches.len()).collect(),
            cues: VecDeque::new(),
            known: VecDeque::new(),
            partner: None,
            lines_said: 0,
            perches,
        }
    }

    async fn run(mut self) {
        self.assemble().await;
        loop {
            let (typing, pause) = match self.lines_said < QUICK_LINES {
                true => (Duration::from_millis(150), Duration::from_millis(250)),
                false => (
                    Duration::from_millis(self.rng.u64(700..1_300)),
                    Duration::from_millis(self.rng.u64(1_100..1_900)),
                ),
            };
            if let Some(cue) = self.next_cue() {
                self.speak(&cue, typing).await;
            }
            self.listen(Instant::now() + pause).await;
        }
    }

    /// Waits until the bots are there, but not for those that cannot come.
    async fn assemble(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(2);
        for perch in &mut self.perches {
            // An error means that it is too late, or that the bot is gone; the others begin.
            timeout_at(deadline, perch.wait_for(Option::is_some)).await.ok();
        }
    }

    fn next_cue(&mut self) -> Option<Cue> {
        if let Some(cue) = self.cues.pop_front() {
            return Some(cue);
        }
        if self.scene.is_empty() {
            self.scene = self.scenes.next(&mut self.rng);
            self.rng.shuffle(&mut self.cast);
        }
        let ((voice, text), rest) = self.scene.split_first()?;
        self.scene = rest;
        Some(Cue { bot: *self.cast.get(*voice)?, text: (*text).to_owned() })
    }

    async fn speak(&mut self, cue: &Cue, typing: Duration) {
        let Some(seated) = self.perches.get(cue.bot).and_then(|perch| perch.borrow().clone()) else { return };
        match seated.say(&cue.text, typing).await {
            Ok(()) => self.lines_said += 1,
            Err(error) => tracing::debug!(%error, "a bot could not speak"),
        }
    }

    /// Listens until the pause is over, or somebody is to be answered.
    async fn listen(&mut self, until: Instant) {
        while self.cues.is_empty() {
            match timeout_at(until, self.heard.recv()).await {
                Ok(Some(heard)) => self.handle_heard(heard),
                // Nobody listens any more, because the bots are ending.
                Ok(None) => sleep(Duration::from_secs(1)).await,
                Err(_) => return,
            }
        }
    }

    fn handle_heard(&mut self, heard: Heard) {
        let cue = match heard {
            Heard::WasHere(name) if self.known.contains(&name) => return,
            Heard::WasHere(name) | Heard::Came(name) => {
                let is_known = self.known.contains(&name);
                let text = greeting(&name, is_known, &mut self.rng);
                if !is_known {
                    self.known.truncate(KNOWN_MAX - 1);
                    self.known.push_front(name);
                }
                Cue { bot: self.rng.usize(0..self.perches.len()), text }
            }
            Heard::Said { from, .. } if self.is_bot(&from) => return,
            Heard::Said { from, text } => {
                let bot = self.bot_for(&from, &text);
                let text = answer(&from, &text, &mut self.rng);
                self.partner = Some((from, bot));
                Cue { bot, text }
            }
        };
        if self.cues.len() == CUES_MAX {
            self.cues.pop_front();
        }
        self.cues.push_back(cue);
    }

    fn is_bot(&self, name: &Name) -> bool {
        self.perches.iter().any(|perch| perch.borrow().as_ref().is_some_and(|seated| seated.name == *name))
    }

    /// Who answers: the bot that is named, the one that talked with this person, or any.
    fn bot_for(&mut self, from: &Name, text: &str) -> usize {
        let is_named = |seated: &Seated| text.contains(&*seated.name);
        if let Some(named) =
            self.perches.iter().position(|perch| perch.borrow().as_ref().is_some_and(is_named))
        {
            return named;
        }
        match &self.partner {
            Some((name, bot)) if name == from && self.rng.u8(0..4) > 0 => *bot,
            _ => self.rng.usize(0..self.perches.len()),
        }
    }
}
