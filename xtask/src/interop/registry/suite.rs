//! The program that makes the claims, asked for one round after another.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::Group;

/// How long a round may take: a claim ends within a minute, and they are made at once.
const ROUND_TIME: Duration = Duration::from_secs(120);

/// What came of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) family: String,
    pub(super) claim: String,
    /// Why it does not hold, if it does not.
    pub(super) why: Option<String>,
}

/// The program. Its process ends when this is dropped.
#[derive(Debug)]
pub(super) struct Suite {
    rounds: ChildStdin,
    told: mpsc::Receiver<Line>,
    _group: Group,
}

/// What the program prints.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Claim { claim: String, why: Option<String> },
    Done { done: bool },
}

impl Suite {
    /// Starts it against a cluster at these URLs.
    pub(super) fn start(program: &Path, urls: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(urls).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group = Group::spawn(command)?;
        let rounds = group.child.stdin.take().context("the suite has no input")?;
        let stdout = group.child.stdout.take().context("the suite has no output")?;
        let (tell, told) = mpsc::channel();
        thread::spawn(move || listen(stdout, &tell));
        Ok(Self { rounds, told, _group: group })
    }

    /// Makes all claims once.
    pub(super) fn round(&mut self) -> Result<Vec<Held>> {
        writeln!(self.rounds, "round").context("the suite is gone")?;
        let (deadline, mut held) = (Instant::now() + ROUND_TIME, Vec::new());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left).context("the suite comes to no end")? {
                Line::Claim { claim, why } => {
                    let (family, claim) = claim.split_once('/').context("a claim of no family")?;
                    held.push(Held { family: family.to_owned(), claim: claim.to_owned(), why });
                }
                Line::Done { done: true } => return Ok(held),
                Line::Done { done: false } => {}
            }
        }
    }
}

fn listen(stdout: ChildStdout, tell: &mpsc::Sender<Line>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Ok(line) = serde_json::from_str(&line) else { continue };
        if tell.send(line).is_err() {
            return;
        }
    }
}
