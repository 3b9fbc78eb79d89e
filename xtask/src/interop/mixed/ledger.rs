//! What was written and what became of it, as the writers saw it: the judge believes no member.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::lab::TIME;
use crate::http::{AskError, Client};
use crate::wait::{LOOK, wait};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    written: Mutex<Written>,
    /// Numbers of keys; no key is written twice.
    keys: AtomicU64,
    is_over: AtomicBool,
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Keys with their values that a member acknowledged.
    pub(crate) acknowledged: BTreeMap<String, String>,
    /// Those of which nobody knows: they may be there or not.
    pub(crate) unknown: BTreeMap<String, String>,
    /// The key that was acknowledged last, and when.
    last: Option<(String, Instant)>,
    /// The longest time between two acknowledgements while there were writers.
    longest_pause: Duration,
    /// Linearizable reads that were answered while there were writers.
    reads: usize,
    /// What was read that was stale: there must be nothing.
    stale: Vec<String>,
}

/// What happened while there were writers.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) longest_pause: Duration,
    pub(crate) reads: usize,
}

/// How many write and read through each member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) writers: usize,
    pub(crate) readers: usize,
}

impl Ledger {
    pub(crate) fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were acknowledged until now.
    pub(crate) fn count(&self) -> usize {
        self.written().acknowledged.len()
    }

    /// Waits until so many more are acknowledged.
    ///
    /// # Errors
    ///
    /// When they are not in time.
    pub(crate) fn wait_more(&self, count: usize) -> Result<()> {
        let wanted = self.count() + count;
        wait(&format!("{count} more writes succeed"), TIME, || (self.count() >= wanted).then_some(()))
    }

    /// Lets writers write and readers read through these members while something else is done.
    ///
    /// # Errors
    ///
    /// When that fails, or a reader read what was stale.
    pub(crate) fn during(
        &self,
        addrs: &[SocketAddr],
        load: Load,
        what: impl FnOnce() -> Result<()>,
    ) -> Result<Happened> {
        self.is_over.store(false, Ordering::Relaxed);
        let mut written = self.written();
        (written.last, written.longest_pause, written.reads) = (None, Duration::ZERO, 0);
        drop(written);
        thread::scope(|scope| {
            for addr in addrs {
                for _ in 0..load.writers {
                    scope.spawn(|| self.write_on(*addr));
                }
                for _ in 0..load.readers {
                    scope.spawn(|| self.read_on(*addr));
                }
            }
            // However that ends, writers must end: the scope waits for them.
            let _ends = Ends(&self.is_over);
            what()
        })?;
        let written = self.written();
        ensure!(written.stale.is_empty(), "stale reads: {:?}", written.stale);
        Ok(Happened { longest_pause: written.longest_pause, reads: written.reads })
    }

    fn write_on(&self, addr: SocketAddr) {
        let client = Client::new(addr);
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.keys.fetch_add(1, Ordering::Relaxed);
            let (key, value) = (format!("key-{number:08}"), format!("value-{number}-{}", addr.port()));
            let answer = client.ask("PUT", &format!("/{key}"), &value);
            if matches!(answer, Err(AskError::Dial { .. })) {
                // A member that is down refuses at once, and there is no use in asking it faster.
                thread::sleep(LOOK);
                continue;
            }
            let is_acknowledged = answer.is_ok_and(|answer| answer.status == 204);
            self.note(key, value, is_acknowledged);
        }
    }

    fn note(&self, key: String, value: String, is_acknowledged: bool) {
        let mut written = self.written();
        if !is_acknowledged {
            written.unknown.insert(key, value);
            return;
        }
        let now = Instant::now();
        if let Some((_, last)) = written.last.replace((key.clone(), now)) {
            written.longest_pause = written.longest_pause.max(now - last);
        }
        written.acknowledged.insert(key, value);
    }

    /// Reads what was acknowledged last before the read began: a member that does not have it must not say so.
    fn read_on(&self, addr: SocketAddr) {
        let client = Client::new(addr);
        while !self.is_over.load(Ordering::Relaxed) {
            let key = self.written().last.as_ref().map(|(key, _)| key.clone());
            let Some(key) = key else {
                thread::sleep(LOOK);
                continue;
            };
            let answer = match client.ask("GET", &format!("/{key}"), "") {
                Ok(answer) => answer,
                Err(AskError::Dial { .. }) => {
                    thread::sleep(LOOK);
                    continue;
                }
                Err(AskError::Answer { .. }) => continue,
            };
            let mut written = self.written();
            match answer.status {
                200 if written.acknowledged.get(&key) == Some(&answer.text()) => written.reads += 1,
                200 | 404 => written.stale.push(format!("{addr} answered {} for {key}", answer.status)),
                // It says that it does not know.
                _ => {}
            }
        }
    }
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
