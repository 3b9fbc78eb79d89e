//! What all clients saw, added up, and how long it took those of a node to which something happened to be served elsewhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::judge::Fault;

/// Faults that are told in words, at most.
const TOLD: usize = 8;

/// What all clients saw.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) pushes: u64,
    /// Refusals by code.
    pub(crate) refused: BTreeMap<u32, u64>,
    /// Requests on connections that ended before their answer, each with how it ended.
    pub(crate) cut: BTreeMap<&'static str, u64>,
    pub(crate) connections: u64,
    pub(crate) connections_refused: u64,
    /// Visits that began where the same life of a node had one before.
    pub(crate) begun_anew: u64,
    /// Answers that came after that of a later request.
    pub(crate) overtaken: u64,
    /// Requests without any answer in time.
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) order: u64,
    pub(crate) receivers: u64,
    pub(crate) pushes_lost: u64,
    /// What cannot be read.
    pub(crate) strange: u64,
    /// Some of the faults, in words.
    pub(crate) told: Vec<String>,
}

/// Something happened to a node, and clients that were with it are served elsewhere since.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) node: String,
    #[serde(skip)]
    pub(crate) at: Instant,
    /// How many clients have moved, and the milliseconds until the last of them had an answer.
    pub(crate) moved: u64,
    pub(crate) last_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Report {
    counts: Mutex<Counts>,
    marks: Mutex<Vec<Mark>>,
}

impl Report {
    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn marks(&self) -> MutexGuard<'_, Vec<Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happens now to a node.
    pub(crate) fn mark(&self, node: &str) {
        self.marks().push(Mark { node: node.to_owned(), at: Instant::now(), moved: 0, last_ms: 0 });
    }

    /// A client that was with the node of a mark is served elsewhere now.
    pub(crate) fn moved(&self, place: usize) {
        if let Some(mark) = self.marks().get_mut(place) {
            mark.moved += 1;
            mark.last_ms = u64::try_from(mark.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
    }

    /// A rule was broken.
    pub(crate) fn fault(&self, fault: Fault, words: impl FnOnce() -> String) {
        let mut counts = self.counts();
        match fault {
            Fault::Duplicate => counts.duplicates += 1,
            Fault::Order => counts.order += 1,
            Fault::Receiver => counts.receivers += 1,
            Fault::PushLost => counts.pushes_lost += 1,
        }
        counts.tell(|| format!("{fault:?}: {}", words()));
    }
}

impl Counts {
    /// Keeps a fault in words, if it is one of the first.
    pub(crate) fn tell(&mut self, words: impl FnOnce() -> String) {
        if self.told.len() < TOLD {
            self.told.push(words());
        }
    }
}
