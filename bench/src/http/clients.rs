//! The clients: one trait, so that each is driven by the same code, and one file for each client.

mod dunlin;
mod hyper;
mod hyper_util;
mod reqwest;

use std::future::Future;

use anyhow::{Result, ensure};
use bytes::Bytes;

pub use self::dunlin::Dunlin;
pub use self::hyper::Hyper;
pub use self::hyper_util::HyperUtil;
pub use self::reqwest::Reqwest;

/// Idle connections that a client may keep: more than there are tasks, so that none is ever closed for that.
const IDLE_MAX: usize = 4096;

/// A client, shared by all tasks.
pub trait Client: Send + Sync + 'static {
    /// What one task sends its requests with.
    type Session: Session;

    /// Another task begins.
    fn session(&self) -> impl Future<Output = Result<Self::Session>> + Send;
}

/// One task's way to the client.
pub trait Session: Send + 'static {
    /// Sends one GET and reads the body of its answer to the end.
    fn get(&mut self) -> impl Future<Output = Result<Bytes>> + Send;
}

/// Only an answer of success counts.
fn check(status: http::StatusCode) -> Result<()> {
    ensure!(status.is_success(), "the server answered {status}");
    Ok(())
}
