//! One client: it asks a few things at a time, looks at all that comes, and goes to the next gate when its own is gone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

use crate::crowd::Crowd;
use crate::judge::{Fault, Judge};
use crate::wire::{Came, Wire};
use crate::words::{Answer, Ask, Beat, NEXT};

/// Requests that are sent one right behind the other, and that are open at most.
const AT_ONCE: usize = 2;
const OPEN_MAX: usize = 6;

/// A client rests so long between two acts, about: many clients on a machine with few processors are to leave it time.
const REST: Duration = Duration::from_millis(400);

/// And so long after a refusal, or until it tries another gate.
const SHORT_REST: Duration = Duration::from_millis(50);

/// A request without an answer for so long is lost: 10 s that a gate gives it, 5 s that the gate may stand still, and more.
const LOST_TIME: Duration = Duration::from_secs(20);

/// Who served a client last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    gate: String,
    connection: u64,
    node: String,
    life: u64,
}

/// See the module.
pub(crate) struct Client {
    crowd: Arc<Crowd>,
    index: usize,
    connections: u64,
    spot: Option<Spot>,
    /// Marks up to this one were looked at.
    marks_seen: usize,
    /// Marks of a node that this client was with when they were made, and still is as far as is known.
    marks_open: Vec<(usize, Spot)>,
}

/// A connection in use.
struct Talk {
    wire: Wire,
    judge: Judge,
    gate: String,
    /// When each open request was sent; they are answered in their order.
    sent: std::collections::BTreeMap<u64, Instant>,
    rests_until: Instant,
    is_kicked: bool,
}

impl Client {
    pub(crate) const fn new(crowd: Arc<Crowd>, index: usize) -> Self {
        Self { crowd, index, connections: 0, spot: None, marks_seen: 0, marks_open: Vec::new() }
    }

    /// Lives until the crowd is told to end, and all that was asked is answered.
    pub(crate) async fn live(mut self) {
        let mut place = self.index;
        while !self.crowd.is_over() {
            let (name, addr) = self.crowd.gate(place).clone();
            match Wire::open(addr).await {
                Ok(wire) => self.talk(wire, name).await,
                Err(_) => {
                    // One whose gate is away is no news.
                    self.crowd.report.counts().connections_refused += 1;
                    sleep(SHORT_REST).await;
                }
            }
            place += 1;
        }
    }

    async fn talk(&mut self, wire: Wire, gate: String) {
        self.connections += 1;
        self.crowd.report.counts().connections += 1;
        let judge = Judge::new(format!("client {} in life {}", self.index, self.connections));
        // Not all at the same moment.
        let rests_until = Instant::now() + REST.mul_f64(fastrand::f64());
        let sent = std::collections::BTreeMap::new();
        let mut talk = Talk { wire, judge, gate, sent, rests_until, is_kicked: false };
        let ended = self.talk_on(&mut talk).await;
        for number in talk.judge.finish() {
            let words = || format!("{} at {}: request {number}", talk.judge.who(), talk.gate);
            self.crowd.report.fault(Fault::Order, words);
        }
        let mut counts = self.crowd.report.counts();
        counts.begun_anew += talk.judge.begun_anew() as u64;
        counts.overtaken += talk.judge.overtaken();
        if let Err(error) = ended {
            let how = if talk.is_kicked { "by a stop" } else { "by a loss" };
            *counts.cut.entry(how).or_default() += talk.judge.open() as u64;
            if error.downcast_ref::<dunlin_wire::PacketError>().is_some() {
                counts.strange += 1;
            }
        }
    }

    async fn talk_on(&mut self, talk: &mut Talk) -> Result<()> {
        let crowd = self.crowd.clone();
        loop {
            let oldest = talk.sent.first_key_value().map(|(_, sent)| *sent + LOST_TIME);
            let may_ask = !crowd.is_over() && talk.judge.open() + AT_ONCE <= OPEN_MAX;
            tokio::select! {
                came = talk.wire.next() => {
                    for came in came? {
                        self.handle(talk, came).await?;
                    }
                }
                () = sleep_until(talk.rests_until), if may_ask => self.ask(talk).await?,
                () = sleep_until(oldest.unwrap_or(talk.rests_until)), if oldest.is_some() => {
                    let mut counts = crowd.report.counts();
                    counts.lost += talk.judge.open() as u64;
                    counts.tell(|| format!("no answer: {} of {}", talk.gate, talk.judge.who()));
                    return Ok(());
                }
                () = crowd.over(), if !crowd.is_over() => {}
            }
            if crowd.is_over() && talk.judge.open() == 0 {
                return Ok(());
            }
        }
    }

    async fn ask(&self, talk: &mut Talk) -> Result<()> {
        talk.rests_until = Instant::now() + REST.mul_f64(0.5 + fastrand::f64());
        for _ in 0..AT_ONCE {
            let number = talk.judge.ask();
            talk.sent.insert(number, Instant::now());
            self.crowd.report.counts().asked += 1;
            let ask = serde_json::to_vec(&Ask { who: talk.judge.who().to_owned(), number })?;
            talk.wire.ask(number, NEXT, &ask).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, talk: &mut Talk, came: Came) -> Result<()> {
        let judged = match &came {
            Came::Answer { number, body } => {
                talk.sent.remove(number);
                self.handle_answer(talk, *number, &self.read(body)?)
            }
            Came::Refusal { number, body } => {
                talk.sent.remove(number);
                talk.rests_until = Instant::now() + SHORT_REST;
                let code = self.read::<Refusal>(body)?.code;
                *self.crowd.report.counts().refused.entry(code).or_default() += 1;
                talk.judge.handle_refusal(*number)
            }
            Came::Push { body } => {
                self.crowd.report.counts().pushes += 1;
                talk.judge.handle_beat(&self.read::<Beat>(body)?)
            }
            Came::Kicked => {
                talk.is_kicked = true;
                Ok(())
            }
            Came::Heartbeat => return talk.wire.beat().await,
        };
        if let Err(fault) = judged {
            let words = || format!("{} at {}: {}", talk.judge.who(), talk.gate, came.words());
            self.crowd.report.fault(fault, words);
        }
        Ok(())
    }

    fn handle_answer(&mut self, talk: &mut Talk, number: u64, answer: &Answer) -> Result<(), Fault> {
        self.crowd.report.counts().answered += 1;
        if self.spot.is_none() {
            self.crowd.add_served();
        }
        self.move_to(Spot {
            gate: talk.gate.clone(),
            connection: self.connections,
            node: answer.node.clone(),
            life: answer.visit.life,
        });
        talk.judge.handle_answer(number, answer)
    }

    /// Looks whether this answer shows that the client has left a node to which something happened.
    fn move_to(&mut self, spot: Spot) {
        if let Some(before) = &self.spot {
            let marks = self.crowd.report.marks();
            for (place, mark) in marks.iter().enumerate().skip(self.marks_seen) {
                if before.gate == mark.node || before.node == mark.node {
                    self.marks_open.push((place, before.clone()));
                }
            }
            self.marks_seen = marks.len();
            let nodes: Vec<String> = marks.iter().map(|mark| mark.node.clone()).collect();
            drop(marks);
            self.marks_open.retain(|(place, before)| {
                let is_gate = nodes.get(*place) == Some(&before.gate);
                let is_elsewhere =
                    if is_gate { before.connection != spot.connection } else { before.life != spot.life };
                if is_elsewhere {
                    self.crowd.report.moved(*place);
                }
                !is_elsewhere
            });
        }
        self.spot = Some(spot);
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T> {
        serde_json::from_slice(body).map_err(|error| {
            let mut counts = self.crowd.report.counts();
            counts.strange += 1;
            counts.tell(|| format!("cannot be read: {}", String::from_utf8_lossy(body)));
            Error::new(error)
        })
    }
}

/// What a refusal says.
#[derive(Debug, Deserialize)]
struct Refusal {
    code: u32,
}
