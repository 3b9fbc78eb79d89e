//! Who answers: the process behind a gate that handles a request, by its process id.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::dialect::{Dialect, Outbox};
use crate::engine::{Engine, Job};
use crate::inbound::Inbound;

/// Route that answers with the process id of whoever handles it, in digits.
pub const ROUTE: &str = "Bench.Who";
/// Time in which a gate must have found its backends.
const LIMIT: Duration = Duration::from_secs(20);
/// A gate that does not forward yet may refuse the request, or never answer it.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(20);
/// So many questions in a row must be answered: nodes may have several connections to each other, which come to be one by one.
const ANSWERS_MIN: usize = 12;

/// The process id in an answer; `None` of an error.
#[must_use]
pub fn pid_of(body: &[u8]) -> Option<u32> {
    std::str::from_utf8(body).ok()?.parse().ok()
}

/// Waits until requests through the gate have been answered by each of these processes, and a number of them in a row by any.
///
/// # Errors
///
/// When one of them answers none in time, or a connection cannot be opened.
pub fn wait_for(target: SocketAddr, dialect: Dialect, backends: &[u32]) -> Result<()> {
    let mut missing: BTreeSet<u32> = backends.iter().copied().collect();
    let (begin, mut in_a_row) = (Instant::now(), 0);
    while !backends.is_empty() && (!missing.is_empty() || in_a_row < ANSWERS_MIN) {
        ensure!(begin.elapsed() < LIMIT, "the gate does not forward to all of the processes {backends:?}");
        // A session stays with one backend, so each question comes from another one.
        if let Some(pid) = ask(target, dialect)? {
            missing.remove(&pid);
            in_a_row += 1;
        } else {
            in_a_row = 0;
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

fn ask(target: SocketAddr, dialect: Dialect) -> Result<Option<u32>> {
    let mut engine = Engine::new(target, dialect, LIMIT)?;
    engine.open(1)?;
    let mut question = Question::default();
    engine.send(0, |out| out.put_request(0, ROUTE, b"{}"));
    let begin = Instant::now();
    while !question.is_answered && begin.elapsed() < PATIENCE {
        engine.turn(&mut question, PAUSE)?;
    }
    Ok(question.pid)
}

#[derive(Debug, Default)]
struct Question {
    is_answered: bool,
    pid: Option<u32>,
}

impl Job for Question {
    fn packet(&mut self, _conn: usize, packet: Inbound<'_>, _now: Instant, _out: &mut Outbox<'_>) {
        if let Inbound::Reply { body, .. } = packet {
            self.is_answered = true;
            self.pid = pid_of(body);
        }
    }
}
