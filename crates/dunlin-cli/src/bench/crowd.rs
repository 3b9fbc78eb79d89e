//! The clients of a run, connected one after another at a rate that the server can be expected to bear.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dunlin_client::{Client, Pushes};
use indicatif::ProgressBar;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Failure;
use crate::target::Prepared;

/// How many may be on their way at once: more would measure the backlog of the listener.
const CONNECTING_MAX: usize = 200;

/// How many bytes a client reads at once: bodies of a load test are short, and every client has such a buffer.
const READ_LEN: usize = 2048;

/// How many pushes wait for a client that is about to count them. Those beyond that are counted as well, when they are dropped.
const PUSH_QUEUE: usize = 64;

/// How many calls wait for a client's connection; callers beyond that wait in line.
const COMMAND_QUEUE: usize = 64;

/// Descriptors that a process has beside those of its clients.
const DESCRIPTORS_BESIDE: u64 = 64;

/// A client, and what is pushed to it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) client: Client,
    pub(super) pushes: Pushes,
}

/// Connects all of them, or says why one could not. The inner error is the first client's that failed.
pub(super) async fn connect(
    target: &Prepared,
    count: u32,
    rate: u32,
    progress: &ProgressBar,
) -> Result<Result<Vec<Member>, Failure>> {
    let room = Arc::new(Semaphore::new(CONNECTING_MAX));
    let begin = Instant::now();
    let mut connecting = JoinSet::new();
    let mut members = Vec::new();
    for n in 0..count {
        let at = begin + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
        tokio::time::sleep_until(at).await;
        let permit = Arc::clone(&room).acquire_owned().await.context("nobody closes this semaphore")?;
        let mut builder =
            target.builder().read_buffer(READ_LEN).push_queue(PUSH_QUEUE).command_queue(COMMAND_QUEUE);
        connecting.spawn(async move {
            let pushes = builder.subscribe_all();
            let client = builder.connect().await;
            drop(permit);
            client.map(|client| Member { client, pushes })
        });
        while let Some(connected) = connecting.try_join_next() {
            match connected.context("connecting ended in a panic")? {
                Ok(member) => members.push(member),
                Err(error) => return Ok(Err(Failure::connect(&error))),
            }
        }
        progress.set_position(members.len().try_into().unwrap_or(u64::MAX));
    }
    while let Some(connected) = connecting.join_next().await {
        match connected.context("connecting ended in a panic")? {
            Ok(member) => members.push(member),
            Err(error) => return Ok(Err(Failure::connect(&error))),
        }
        progress.set_position(members.len().try_into().unwrap_or(u64::MAX));
    }
    Ok(Ok(members))
}

/// Raises the limit on descriptors to what it may be, and sees whether that is enough.
pub(super) fn make_room(clients: u32) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::from(clients) + DESCRIPTORS_BESIDE;
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        bail!(
            "{clients} clients need {needed} open files, and this process may have {}; raise it with `ulimit -Hn`",
            limit.maximum.unwrap_or(0)
        );
    }
    if limit.current.is_some_and(|current| current < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
            .context("the limit on open files cannot be raised")?;
    }
    Ok(())
}
