//! What was written and what became of it, as the writers saw it: the judge believes no member.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::http::Client;
use super::lab::LOOK;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    written: Mutex<Written>,
    /// Numbers of keys; no key is written twice.
    keys: AtomicU64,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Keys with their values that a member acknowledged.
    pub(crate) acknowledged: BTreeMap<String, String>,
    /// Those of which nobody knows: they may be there or not.
    pub(crate) unknown: BTreeMap<String, String>,
    last: Option<Instant>,
    /// The longest time between two acknowledgements since the writers began.
    pub(crate) longest_pause: Duration,
}

impl Ledger {
    pub(crate) fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many were acknowledged until now.
    pub(crate) fn count(&self) -> usize {
        self.written().acknowledged.len()
    }

    /// Lets writers write through these members, so many through each, while something else is done.
    pub(crate) fn during<T>(&self, addrs: &[SocketAddr], writers: usize, what: impl FnOnce() -> T) -> T {
        self.is_over.store(false, Ordering::Relaxed);
        self.written().last = None;
        thread::scope(|scope| {
            for addr in addrs {
                for _ in 0..writers {
                    scope.spawn(|| self.write_on(*addr));
                }
            }
            // However that ends, writers must end: the scope waits for them.
            let ends = Ends(&self.is_over);
            let done = what();
            drop(ends);
            done
        })
    }

    fn write_on(&self, addr: SocketAddr) {
        let mut client = Client::new(addr);
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.keys.fetch_add(1, Ordering::Relaxed);
            let (key, value) = (format!("key-{number:08}"), format!("value-{number}-{}", addr.port()));
            let answer = client.ask("PUT", &format!("/{key}"), &value);
            let is_acknowledged = answer.is_ok_and(|answer| answer.status == 204);
            let mut written = self.written();
            if is_acknowledged {
                let now = Instant::now();
                if let Some(last) = written.last.replace(now) {
                    written.longest_pause = written.longest_pause.max(now - last);
                }
                written.acknowledged.insert(key, value);
            } else {
                written.unknown.insert(key, value);
                drop(written);
                // A member that is down refuses at once, and there is no use in asking it faster.
                thread::sleep(LOOK);
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
