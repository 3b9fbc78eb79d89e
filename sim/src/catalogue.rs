//! Whether the bugs of the catalogue are found: seeds are run with each until a checker says something.

use std::time::{Duration, Instant};

use crate::bug::Bug;
use crate::world::{Keep, run};

/// What came of looking for one bug.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which.
    pub bug: Bug,
    /// Seeds that were run.
    pub seeds: u64,
    /// How long that took.
    pub took: Duration,
    /// The seed that found it, the checker and what it says; `None` when none did.
    pub by: Option<(u64, String, String)>,
}

/// Runs seeds with a bug until it is found, or the time is over.
#[must_use]
pub fn find(bug: Bug, from: u64, time_max: Duration) -> Found {
    let begin = Instant::now();
    let mut seeds = 0;
    for seed in from.. {
        let report = run(seed, Some(bug), Keep::Nothing);
        seeds += 1;
        let took = begin.elapsed();
        if let Some((checker, text)) = report.wrong {
            return Found { bug, seeds, took, by: Some((seed, checker, text)) };
        }
        if took >= time_max {
            break;
        }
    }
    Found { bug, seeds, took: begin.elapsed(), by: None }
}
