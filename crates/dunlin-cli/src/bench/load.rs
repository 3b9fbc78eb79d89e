//! What each client of a run does, from the begin to the end, and where it counts what comes of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dunlin_client::{Client, NotifyError, RequestError};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::args::Kind;
use super::crowd::Member;
use super::plan::Plan;
use super::schedule::Turns;
use super::tally::{Outcome, Tally};

/// What all clients of a run share.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) plan: Plan,
    pub(super) begin: Instant,
    /// Each client counts in one of them, so that threads seldom meet.
    tallies: Vec<Mutex<Tally>>,
    /// Called when a client's turn has come.
    pub(super) calls: Vec<Notify>,
}

impl Load {
    pub(super) fn new(plan: Plan, threads: usize) -> Result<Self, hdrhistogram::CreationError> {
        let tallies = (0..threads * 2).map(|_| Tally::new().map(Mutex::new)).collect::<Result<_, _>>()?;
        let calls = (0..plan.clients).map(|_| Notify::new()).collect();
        Ok(Self { plan, begin: Instant::now(), tallies, calls })
    }

    /// All that was counted until now.
    pub(super) fn tally(&self) -> Result<Tally, hdrhistogram::CreationError> {
        let mut all = Tally::new()?;
        for tally in &self.tallies {
            all.add(&lock(tally));
        }
        Ok(all)
    }

    /// Runs one client to the end of the run.
    pub(super) async fn run(self: Arc<Self>, index: usize, member: Member) {
        let worker = Worker { load: &self, index, member };
        match self.plan.kind {
            Kind::Request => worker.ask().await,
            Kind::Notify => worker.tell().await,
            Kind::Idle => worker.hold().await,
        }
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    fn is_over(&self) -> bool {
        self.now() >= self.plan.end()
    }

    fn count(&self, index: usize) -> MutexGuard<'_, Tally> {
        // A run has at least one thread, and so two tallies.
        lock(&self.tallies[index % self.tallies.len()])
    }

    /// The turns of a client, where there is a schedule.
    fn turns(&self, index: usize) -> Option<Turns> {
        let client = u32::try_from(index).unwrap_or(u32::MAX);
        self.plan.schedule.map(|schedule| Turns::new(schedule, client, self.plan.end()))
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    // Counts are whole between any two statements.
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the next message is to be sent: by its turn, or now.
fn next_turn(turns: &mut Option<Turns>, now: Duration) -> Option<Duration> {
    match turns {
        Some(turns) => turns.take_due(now),
        None => Some(now),
    }
}

struct Worker<'a> {
    load: &'a Load,
    index: usize,
    member: Member,
}

impl Worker<'_> {
    /// Sends requests and waits for their answers, as many at a time as may be.
    async fn ask(mut self) {
        let Self { load, index, .. } = self;
        let plan = &load.plan;
        let mut turns = load.turns(index);
        let mut waiting = FuturesUnordered::new();
        let mut is_dropped = false;
        loop {
            while !is_dropped && !load.is_over() && waiting.len() < plan.in_flight {
                let Some(due) = next_turn(&mut turns, load.now()) else { break };
                if plan.is_measured(due) {
                    load.count(index).send(plan.body.len());
                }
                waiting.push(request(self.member.client.clone(), load, due));
            }
            if waiting.is_empty() && (is_dropped || load.is_over()) {
                break;
            }
            tokio::select! {
                Some((outcome, due)) = waiting.next(), if !waiting.is_empty() => {
                    is_dropped |= outcome == Outcome::Disconnected;
                    self.end(outcome, due);
                }
                Some(push) = self.member.pushes.recv() => self.push(push.payload.len()),
                // Without a schedule there is always something to wait for, until the run is over.
                () = load.calls[index].notified() => {}
            }
        }
        load.count(index).unsent += turns.map_or(0, Turns::missed);
        self.leave(is_dropped).await;
    }

    fn end(&self, outcome: Outcome, due: Duration) {
        let Self { load, index, .. } = self;
        let now = load.now();
        let mut tally = load.count(*index);
        let is_answer = matches!(outcome, Outcome::Answered { .. } | Outcome::Refused { .. });
        tally.came += u64::from(is_answer && load.plan.is_measured(now));
        tally.end(outcome, now.saturating_sub(due), load.plan.is_measured(due));
    }

    /// Sends notifications, which have no answers: the connection itself holds up who sends too many.
    async fn tell(mut self) {
        let Self { load, index, .. } = self;
        let plan = &load.plan;
        let mut turns = load.turns(index);
        let mut is_dropped = false;
        while !is_dropped && !load.is_over() {
            let Some(due) = next_turn(&mut turns, load.now()) else {
                tokio::select! {
                    Some(push) = self.member.pushes.recv() => self.push(push.payload.len()),
                    () = load.calls[index].notified() => {}
                }
                continue;
            };
            match self.member.client.notify_raw(&plan.route, plan.body.clone()).await {
                Ok(()) if plan.is_measured(due) => load.count(index).send(plan.body.len()),
                Ok(()) => {}
                Err(NotifyError::TimedOut { .. }) => self.end(Outcome::TimedOut, due),
                Err(_) => is_dropped = true,
            }
            while let Some(push) = self.member.pushes.try_recv() {
                self.push(push.payload.len());
            }
        }
        load.count(index).unsent += turns.map_or(0, Turns::missed);
        self.leave(is_dropped).await;
    }

    /// Holds the connection.
    async fn hold(mut self) {
        let load = self.load;
        let end = tokio::time::Instant::from_std(load.begin + load.plan.end());
        loop {
            tokio::select! {
                push = self.member.pushes.recv() => match push {
                    Some(push) => self.push(push.payload.len()),
                    None => return self.leave(true).await,
                },
                () = tokio::time::sleep_until(end) => return self.leave(false).await,
            }
        }
    }

    fn push(&self, len: usize) {
        if self.load.plan.is_measured(self.load.now()) {
            self.load.count(self.index).push(len);
        }
    }

    /// Counts what is left to count, and closes the connection.
    async fn leave(self, is_dropped: bool) {
        {
            let mut tally = self.load.count(self.index);
            tally.dropped += u64::from(is_dropped);
            tally.pushes += self.member.pushes.dropped();
        }
        self.member.client.close().await;
    }
}

/// One request, and when it was to be sent.
async fn request(client: Client, load: &Load, due: Duration) -> (Outcome, Duration) {
    let Plan { route, body, .. } = &load.plan;
    let outcome = match client.request_raw(route, Bytes::clone(body)).await {
        Ok(answer) => Outcome::Answered { len: answer.len() },
        Err(RequestError::Server(error)) => Outcome::Refused { code: error.code },
        Err(RequestError::TimedOut { .. }) => Outcome::TimedOut,
        Err(_) => Outcome::Disconnected,
    };
    (outcome, due)
}
