//! The clients as a process: they are told when something happens, and say in the end what they saw.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::nodes::{Nodes, Role};
use crate::process::Group;
use crate::wait::wait;

/// How long it may take until all clients were served.
const READY_TIME: Duration = Duration::from_secs(60);

/// How long the last answers may take: longer than clients wait for one.
const END_TIME: Duration = Duration::from_secs(40);

/// See the module. Its process ends when this is dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    process: Group,
    said: PathBuf,
}

/// What all clients saw.
#[derive(Debug)]
pub(super) struct Seen(Value);

/// Clients of a node to which something happened, which were served elsewhere then.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) node: String,
    pub(super) moved: u64,
    pub(super) last_ms: u64,
}

impl Crowd {
    /// Starts the clients, and waits until all were served.
    ///
    /// # Errors
    ///
    /// When they are not in time.
    pub(super) fn start(program: &Path, nodes: &Nodes, count: usize) -> Result<Self> {
        let gates = nodes.of(Role::Gate).into_iter().map(|gate| format!("{}={}", gate.name, gate.clients));
        let said = nodes.dir().join("clients");
        let mut command = Command::new(program);
        command.args(["clients", "--count", &count.to_string(), "--gates"]);
        command.arg(gates.collect::<Vec<_>>().join(","));
        command.stdin(Stdio::piped()).stdout(File::create(&said)?);
        command.stderr(File::create(nodes.dir().join("clients-errors"))?);
        let crowd = Self { process: Group::spawn(command)?, said };
        wait("all clients are served", READY_TIME, || crowd.lines().contains("ready").then_some(()))?;
        Ok(crowd)
    }

    fn lines(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Says that something happens to a node now.
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub(super) fn mark(&mut self, node: &str) -> Result<()> {
        self.tell(&format!("mark {node}"))
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.process.child.stdin.as_mut().context("the clients have an input")?;
        writeln!(input, "{line}").context("the clients have ended")
    }

    /// Ends all clients, and gives what they saw.
    ///
    /// # Errors
    ///
    /// When they do not end.
    pub(super) fn end(mut self) -> Result<Seen> {
        self.tell("end")?;
        let ended = self.process.wait(END_TIME)?;
        let text = self.lines();
        let report = text.lines().find_map(|line| serde_json::from_str(line).ok());
        let report = report.with_context(|| format!("the clients say nothing; ended well: {ended:?}"))?;
        Ok(Seen(report))
    }
}

impl Seen {
    /// How often they saw this.
    pub(super) fn count(&self, what: &str) -> u64 {
        self.0["counts"][what].as_u64().unwrap_or(0)
    }

    /// How often they saw each kind of this.
    pub(super) fn kinds(&self, what: &str) -> Vec<(String, u64)> {
        let kinds = self.0["counts"][what].as_object();
        let kinds =
            kinds.into_iter().flatten().map(|(kind, count)| (kind.clone(), count.as_u64().unwrap_or(0)));
        kinds.filter(|(_, count)| *count > 0).collect()
    }

    /// Some of what was wrong, in words.
    pub(super) fn told(&self) -> String {
        self.0["counts"]["told"].to_string()
    }

    /// Who moved when something happened.
    pub(super) fn moved(&self) -> Vec<Moved> {
        let marks = self.0["marks"].as_array().into_iter().flatten();
        let moved = |mark: &Value| Moved {
            node: mark["node"].as_str().unwrap_or_default().to_owned(),
            moved: mark["moved"].as_u64().unwrap_or(0),
            last_ms: mark["last_ms"].as_u64().unwrap_or(0),
        };
        marks.map(moved).collect()
    }
}
