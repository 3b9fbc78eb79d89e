//! The demo's bots: clients on real sockets, some WebSocket and some TCP, whose tadpoles swim in the pond.
//!
//! Each also sends a numbered request to the ledger some times a second, and tells the judge what became of it. A bot has a
//! home among the gates; when that is gone it goes to another one, and tries its home again after some seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use anyhow::Context;
use dunlin_client::{Client, RequestError};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::judge::{ANSWER_TIMEOUT, Outcome};
use super::ledger::Court;
use super::messages::{Enter, Entered, Record, Recorded};
use super::swimmer::Swimmer;

/// How often a bot says where it is.
const STROKE: Duration = Duration::from_millis(120);

/// A request is sent with each third stroke.
const STROKES_PER_REQUEST: u64 = 3;

/// Requests of one bot that may be under way; beyond it none is sent.
const UNDER_WAY_MAX: usize = 8;

/// How long connecting and coming in may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a bot stays away from home, in seconds.
const AWAY_SECS: std::ops::Range<f64> = 8.0..16.0;

/// All bots, or none yet. They end when this is dropped.
#[derive(Default)]
pub(super) struct Flock {
    /// Dropped, it ends them.
    stop: Option<oneshot::Sender<()>>,
}

impl Flock {
    /// Sends bots to the gates, from a thread of their own: what clients do is not to be time of the cluster's.
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no runtime.
    pub(super) fn send(gates: &Arc<[SocketAddr]>, count: u16, court: &Court) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let bots = (0..usize::from(count)).map(|number| {
            let bot = Bot { number, gates: gates.clone(), court: court.clone() };
            async move {
                // Not all at once.
                sleep(Duration::from_millis(number as u64 * 7)).await;
                bot.live().await;
            }
        });
        let bots: Vec<_> = bots.collect();
        let living = async move {
            let bots: JoinSet<()> = bots.into_iter().collect();
            // Nobody says anything on this channel: it ends.
            stopped.await.ok();
            drop(bots);
        };
        thread::Builder::new().name("dunlin-bots".to_owned()).spawn(move || runtime.block_on(living))?;
        Ok(Self { stop: Some(stop) })
    }

    /// Ends all bots at once.
    pub(super) fn end(&mut self) {
        self.stop.take();
    }
}

/// One bot.
struct Bot {
    number: usize,
    gates: Arc<[SocketAddr]>,
    court: Court,
}

impl Bot {
    async fn live(self) {
        let mut swimmer = Swimmer::new(fastrand::f64);
        let home = self.number % self.gates.len();
        let mut gate = home;
        loop {
            let stay = (gate != home).then(|| {
                Duration::from_secs_f64(AWAY_SECS.start + fastrand::f64() * (AWAY_SECS.end - AWAY_SECS.start))
            });
            gate = match self.visit(gate, &mut swimmer, stay).await {
                Ok(()) => home,
                Err(error) => {
                    tracing::info!(
                        bot = self.number,
                        gate,
                        error = format!("{error:#}"),
                        "a bot goes elsewhere"
                    );
                    (gate + fastrand::usize(1..self.gates.len().max(2))) % self.gates.len()
                }
            };
            // Not all at once.
            sleep(Duration::from_millis(fastrand::u64(50..500))).await;
        }
    }

    /// Swims at one gate until the connection ends, which is an error, or the stay is over.
    async fn visit(&self, gate: usize, swimmer: &mut Swimmer, stay: Option<Duration>) -> anyhow::Result<()> {
        let addr = self.gates.get(gate).context("there is no such gate")?;
        // Bots of one gate speak both.
        let scheme = if (self.number / self.gates.len()).is_multiple_of(2) { "ws" } else { "tcp" };
        let builder = Client::builder(&format!("{scheme}://{addr}")).connect_timeout(CONNECT_TIMEOUT);
        let client = builder.connect().await?;
        let entered = enter(&client, swimmer).await?;
        let mut visit = Visit { client, session: entered.session.parse()?, court: self.court.clone() };
        visit.swim(swimmer, stay).await
    }
}

/// Comes into the pond.
///
/// # Errors
///
/// When the gate does not let it in, or not in time.
pub(super) async fn enter(client: &Client, swimmer: &Swimmer) -> anyhow::Result<Entered> {
    let enter = Enter { at: swimmer.spot(), bot: true };
    let entering = client.request_timeout("Pond.enter", &enter, CONNECT_TIMEOUT);
    entering.await.context("the pond does not let it in")
}

/// A bot that is in the pond.
struct Visit {
    client: Client,
    session: u64,
    court: Court,
}

impl Visit {
    async fn swim(&mut self, swimmer: &mut Swimmer, stay: Option<Duration>) -> anyhow::Result<()> {
        let mut asking = JoinSet::new();
        let swimming = async {
            tokio::select! {
                reason = self.client.closed() => Err(anyhow::Error::from(reason)),
                never = self.strokes(swimmer, &mut asking) => match never {},
            }
        };
        let ended = match stay {
            // Who is still there when the stay is over leaves by itself.
            Some(stay) => timeout(stay, swimming).await.unwrap_or(Ok(())),
            None => swimming.await,
        };
        self.client.close().await;
        self.court.judge().handle_gone(Instant::now(), self.session);
        // What was under way has ended with the connection, and the judge hears of it.
        while asking.join_next().await.is_some() {}
        ended
    }

    async fn strokes(&self, swimmer: &mut Swimmer, asking: &mut JoinSet<()>) -> std::convert::Infallible {
        let mut strokes = interval(STROKE);
        let mut number = 0;
        for count in 1_u64.. {
            strokes.tick().await;
            swimmer.swim(STROKE.as_secs_f64(), fastrand::f64());
            // A connection that has ended is told by its end.
            self.client.notify("Pond.swim", &swimmer.spot()).await.ok();
            while asking.try_join_next().is_some() {}
            if count.is_multiple_of(STROKES_PER_REQUEST) && asking.len() < UNDER_WAY_MAX {
                number += 1;
                asking.spawn(ask(self.client.clone(), self.session, number, self.court.clone()));
            }
        }
        std::future::pending().await
    }
}

/// Sends one numbered request, and tells the judge what became of it. Requests that are begun in order are sent in order.
async fn ask(client: Client, session: u64, number: u64, court: Court) {
    court.judge().handle_sent(Instant::now(), session, number);
    let patience = ANSWER_TIMEOUT + Duration::from_secs(1);
    let asked = client.request_timeout::<_, Recorded>("Ledger.record", &Record { number }, patience).await;
    let outcome = match asked {
        Ok(recorded) => Outcome::Answered(recorded.number),
        Err(RequestError::Server(_)) => Outcome::Failed,
        // Nothing that could be told: the judge counts it as lost.
        Err(RequestError::TimedOut { .. } | RequestError::Deserialize { .. }) => return,
        Err(_) => Outcome::Ended,
    };
    court.judge().handle_outcome(session, number, outcome);
}
