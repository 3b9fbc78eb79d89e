//! One member of the cluster of two: a process of ours or of etcd's behind a tap, its commands and what it tells.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::messages::{LAST_INDEX, TERM, is_greeting};
use super::tap::Tap;
use crate::process::Group;

/// How long a member may take to do what it is told, and to tell what is waited for.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(10);

/// The cluster, by a number that needs all 64 bits and whose text has letters.
pub(crate) const CLUSTER: u64 = 0xc1a5_7e12_0000_00ff;

/// What one member is.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// For the reader.
    pub(crate) name: &'static str,
    pub(crate) id: u64,
    pub(crate) cluster: u64,
    pub(crate) program: PathBuf,
    /// Where its databases go.
    pub(crate) dir: PathBuf,
    /// More fields of the command that starts it.
    pub(crate) more: Value,
}

/// A running one. Its process ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) plan: Plan,
    pub(crate) tap: Tap,
    /// The version that it says it is of.
    pub(crate) version: String,
    addr: SocketAddr,
    process: Process,
}

#[derive(Debug)]
struct Process {
    commands: ChildStdin,
    told: mpsc::Receiver<Value>,
    /// What was told while something else was waited for.
    kept: Vec<Value>,
    _group: Group,
}

impl Process {
    fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        // What it says to standard error is a panic, and that should be seen.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group = Group::spawn(command)?;
        let commands = group.child.stdin.take().context("the member has no input")?;
        let stdout = group.child.stdout.take().context("the member has no output")?;
        let (tell, told) = mpsc::channel();
        thread::spawn(move || listen(stdout, &tell));
        Ok(Self { commands, told, kept: Vec::new(), _group: group })
    }
}

fn listen(stdout: ChildStdout, tell: &mpsc::Sender<Value>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // Everything that is printed is an event; what is not is shown as one that nobody waits for.
        let event = serde_json::from_str(&line).unwrap_or_else(|_| json!({"event": "noise", "line": line}));
        if tell.send(event).is_err() {
            return;
        }
    }
}

impl Member {
    /// Starts a member on a port that the kernel picks.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn start(plan: Plan) -> Result<Self> {
        fs::create_dir_all(&plan.dir).with_context(|| format!("cannot make {}", plan.dir.display()))?;
        let tap = Tap::open()?;
        let process = Process::start(&plan.program)?;
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut member = Self { plan, tap, version: String::new(), addr, process };
        member.begin()?;
        Ok(member)
    }

    fn begin(&mut self) -> Result<()> {
        let plan = &self.plan;
        let mut command = json!({
            "do": "start", "id": plan.id, "cluster": plan.cluster, "addr": self.addr.to_string(),
            "url": self.tap.url(), "dir": plan.dir, "term": TERM, "last_index": LAST_INDEX,
        });
        if let (Value::Object(command), Value::Object(more)) = (&mut command, &plan.more) {
            command.extend(more.clone());
        }
        self.order(&command)?;
        let started = self.wait("started", |event| event["event"] == "started")?;
        started["version"].as_str().unwrap_or_default().clone_into(&mut self.version);
        self.addr = started["addr"].as_str().unwrap_or_default().parse().context("it has no address")?;
        self.tap.aim(self.addr);
        Ok(())
    }

    /// Ends the process in the middle of whatever it does.
    ///
    /// # Errors
    ///
    /// When a new process cannot be started.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process = Process::start(&self.plan.program)?;
        Ok(())
    }

    /// Starts the transport of the process that took the place of a killed one, at the address of that.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.begin()
    }

    /// Gives a command and waits until it is done.
    ///
    /// # Errors
    ///
    /// When it is not done in time, or fails.
    pub(crate) fn order(&mut self, command: &Value) -> Result<()> {
        let name = command["do"].as_str().unwrap_or_default().to_owned();
        writeln!(self.process.commands, "{command}")
            .with_context(|| format!("{} is gone", self.plan.name))?;
        let is_answer = |event: &Value| event["event"] == "done" || event["event"] == "failed";
        let answer = self.wait(&name, is_answer)?;
        if answer["event"] == "failed" {
            bail!("{} cannot {name}: {}", self.plan.name, answer["why"]);
        }
        Ok(())
    }

    /// Makes another one a peer of this one.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub(crate) fn meet(&mut self, other: &Self) -> Result<()> {
        self.meet_at(other, &other.tap)
    }

    /// The same, with another one's tap for its own.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub(crate) fn meet_at(&mut self, other: &Self, tap: &Tap) -> Result<()> {
        self.order(&json!({"do": "peer", "id": other.plan.id, "url": tap.url()}))
    }

    /// Sends messages.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub(crate) fn send(&mut self, messages: &[Value]) -> Result<()> {
        self.order(&json!({"do": "send", "messages": messages}))
    }

    /// Waits for an event that this is true of.
    ///
    /// # Errors
    ///
    /// When it does not come in time, or the process ends.
    pub(crate) fn wait(&mut self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Result<Value> {
        self.wait_within(ANSWER_TIME, &mut is_it)?
            .with_context(|| format!("{} did not tell of: {what}", self.plan.name))
    }

    /// The same within another time; `None` when it is over.
    ///
    /// # Errors
    ///
    /// When the process ends.
    pub(crate) fn wait_within(
        &mut self,
        limit: Duration,
        is_it: &mut dyn FnMut(&Value) -> bool,
    ) -> Result<Option<Value>> {
        if let Some(place) = self.process.kept.iter().position(&mut *is_it) {
            return Ok(Some(self.process.kept.remove(place)));
        }
        let deadline = Instant::now() + limit;
        loop {
            match self.process.told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) if is_it(&event) => return Ok(Some(event)),
                Ok(event) => self.process.kept.push(event),
                Err(mpsc::RecvTimeoutError::Timeout) => return Ok(None),
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("{} ended", self.plan.name),
            }
        }
    }

    /// The next message that is no greeting; `None` when none comes.
    ///
    /// # Errors
    ///
    /// When the process ends.
    pub(crate) fn next_message(&mut self, limit: Duration) -> Result<Option<Value>> {
        let mut is_it = |event: &Value| event["event"] == "message" && !is_greeting(&event["message"]);
        Ok(self.wait_within(limit, &mut is_it)?.map(|mut event| event["message"].take()))
    }

    /// How many events of this name nobody has waited for yet.
    pub(crate) fn untold(&mut self, name: &str) -> usize {
        self.process.kept.extend(self.process.told.try_iter());
        self.process.kept.iter().filter(|event| event["event"] == name).count()
    }
}
