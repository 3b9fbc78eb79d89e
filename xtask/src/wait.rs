//! Waiting for what changes by itself, in bounded time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// How often what changes by itself is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// Waits until something is there.
///
/// # Errors
///
/// When it is not in time.
pub(crate) fn wait<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(there) = look() {
            return Ok(there);
        }
        ensure!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(LOOK);
    }
}
