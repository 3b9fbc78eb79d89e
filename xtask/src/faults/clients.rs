//! The clients: each does one thing at a time, goes to the next member when one fails it, and all that they saw is in one book.
//!
//! Keys are of two kinds. *Registers* are put and read by all, and are left for fresh ones every moment, so that what happened to
//! each of them is a short history. Keys that are put *once* show in the end whether what was acknowledged is still there.
//!
//! Knows nothing of faults and of how a history is judged. Invariant: no value is put twice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::http::{AskError, Client};
use crate::wait::{LOOK, wait};

/// How many clients there are.
pub(crate) const CLIENTS: usize = 64;

/// Every so many of them is patient: what it asks of a member that stands still is answered when that goes on, and must be fresh.
const PATIENT: usize = 8;

/// How long the others wait for an answer: longer than an election takes.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// How long the patient ones do.
const PATIENT_TIME: Duration = Duration::from_secs(20);

/// How long a client rests between two acts. What is looked for is wrong answers, not how fast a machine with few processors is.
const REST: Duration = Duration::from_millis(8);

/// So many registers are in use at a time, and for so long.
const REGISTERS: u64 = 64;
const REGISTERS_TIME: Duration = Duration::from_secs(2);

/// Keys from this one on are put once.
const ONCE: u64 = 1 << 32;

/// How long more writes may take to succeed: a few elections, and requests that took too long.
const MORE_TIME: Duration = Duration::from_secs(30);

/// What a client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Put(u64),
    /// None where there is no such key.
    Got(Option<u64>),
}

/// One act, in microseconds since the book was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) key: u64,
    pub(crate) client: usize,
    pub(crate) called: u64,
    /// None for a put of which nobody knows.
    pub(crate) returned: Option<u64>,
    pub(crate) what: What,
}

/// What all clients did and saw.
#[derive(Debug)]
pub(crate) struct Book {
    begin: Instant,
    acts: Mutex<Vec<Act>>,
    acknowledged: AtomicUsize,
    values: AtomicU64,
    once: AtomicU64,
    /// What was answered that no client can have put.
    strange: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            begin: Instant::now(),
            acts: Mutex::default(),
            acknowledged: AtomicUsize::new(0),
            values: AtomicU64::new(1),
            once: AtomicU64::new(ONCE),
            strange: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Now, as acts have it.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn acts(&self) -> MutexGuard<'_, Vec<Act>> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers that were no value of anybody.
    pub(crate) fn strange(&self) -> MutexGuard<'_, Vec<String>> {
        self.strange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When puts were acknowledged, in order.
    pub(crate) fn acknowledgements(&self) -> Vec<u64> {
        let acts = self.acts();
        let puts = acts.iter().filter(|act| matches!(act.what, What::Put(_)));
        let mut times: Vec<u64> = puts.filter_map(|act| act.returned).collect();
        times.sort_unstable();
        times
    }

    /// Waits until so many more writes are acknowledged.
    ///
    /// # Errors
    ///
    /// When they are not in time.
    pub(crate) fn wait_more(&self, count: usize) -> Result<()> {
        let acknowledged = || self.acknowledged.load(Ordering::Relaxed);
        let wanted = acknowledged() + count;
        let is_done = || (acknowledged() >= wanted).then_some(());
        wait(&format!("{count} more writes succeed"), MORE_TIME, is_done)
    }

    /// Lets the clients act while something else is done.
    ///
    /// # Errors
    ///
    /// When that fails, or a member answered what nobody can have put.
    pub(crate) fn during(&self, addrs: &[SocketAddr], what: impl FnOnce() -> Result<()>) -> Result<()> {
        thread::scope(|scope| {
            for place in 0..CLIENTS {
                scope.spawn(move || self.act_on(place, addrs));
            }
            // However that ends, clients must end: the scope waits for them.
            let _ends = Ends(&self.is_over);
            what()
        })?;
        let strange = self.strange();
        ensure!(strange.is_empty(), "strange answers: {strange:?}");
        Ok(())
    }

    fn act_on(&self, place: usize, addrs: &[SocketAddr]) {
        let answer_time = if place.is_multiple_of(PATIENT) { PATIENT_TIME } else { ANSWER_TIME };
        let clients: Vec<Client> = addrs.iter().map(|addr| Client::with_time(*addr, answer_time)).collect();
        let mut rng = fastrand::Rng::new();
        let mut at = place % clients.len();
        while !self.is_over.load(Ordering::Relaxed) {
            let window = self.begin.elapsed().as_secs() / REGISTERS_TIME.as_secs();
            let register = window * REGISTERS + rng.u64(..REGISTERS);
            let client = &clients[at];
            let is_served = match rng.u8(..8) {
                0 => self.put(place, client, self.once.fetch_add(1, Ordering::Relaxed)),
                1..=3 => self.put(place, client, register),
                _ => self.get(place, client, register).is_some(),
            };
            if !is_served {
                at = (at + 1) % clients.len();
            }
            thread::sleep(if is_served { REST } else { LOOK });
        }
    }

    /// Puts a new value, and says whether that was acknowledged.
    fn put(&self, place: usize, client: &Client, key: u64) -> bool {
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let called = self.now();
        let answer = client.ask("PUT", &path(key), &value.to_string());
        if matches!(answer, Err(AskError::Dial { .. })) {
            // Nobody was asked.
            return false;
        }
        let is_acknowledged = answer.is_ok_and(|answer| answer.status == 204);
        let returned = is_acknowledged.then(|| self.now());
        self.acts().push(Act { key, client: place, called, returned, what: What::Put(value) });
        self.acknowledged.fetch_add(usize::from(is_acknowledged), Ordering::Relaxed);
        is_acknowledged
    }

    /// Reads what is not stale, and says what that is if a member knows it.
    pub(crate) fn get(&self, place: usize, client: &Client, key: u64) -> Option<Option<u64>> {
        let called = self.now();
        let value = value_of(client, &path(key))?;
        let returned = Some(self.now());
        let Ok(value) = value.map(|text| text.parse().map_err(|_| text)).transpose() else {
            self.strange().push(format!("key {key}"));
            return None;
        };
        self.acts().push(Act { key, client: place, called, returned, what: What::Got(value) });
        Some(value)
    }
}

/// The path of a key.
pub(crate) fn path(key: u64) -> String {
    format!("/k{key}")
}

/// Whether a key is one that is put once.
pub(crate) const fn is_once(key: u64) -> bool {
    key >= ONCE
}

/// What a member says that a key is: no text where there is no such key. None when it does not know.
pub(crate) fn value_of(client: &Client, path: &str) -> Option<Option<String>> {
    let answer = client.ask("GET", path, "").ok()?;
    match answer.status {
        200 => Some(Some(answer.text())),
        404 => Some(None),
        _ => None,
    }
}

/// The longest time in a span without an acknowledgement. What is in order is in microseconds, as is what is given.
pub(crate) fn longest_gap(acknowledgements: &[u64], from: u64, to: u64) -> u64 {
    let within = acknowledgements.iter().copied().filter(|at| (from..to).contains(at));
    let (mut longest, mut last) = (0, from);
    for at in within.chain([to.max(from)]) {
        longest = longest.max(at - last);
        last = at;
    }
    longest
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::longest_gap;

    #[test]
    fn gap_begins_and_ends_with_its_span_where_nothing_is_acknowledged() {
        assert_eq!(longest_gap(&[], 10, 30), 20);
        assert_eq!(longest_gap(&[5, 40], 10, 30), 20);
        assert_eq!(longest_gap(&[5, 12, 14, 29], 10, 30), 15);
        assert_eq!(longest_gap(&[11, 12], 10, 30), 18);
        assert_eq!(longest_gap(&[20], 30, 10), 0);
    }
}
