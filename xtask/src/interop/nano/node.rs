//! One node as a process: started, killed and started again, and what it says in lines of JSON.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::Group;

/// How long a node may take for anything.
pub(crate) const TIME: Duration = Duration::from_secs(20);

/// A node, whether it runs or not. Its process ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    /// Where what it says for people is written.
    dir: PathBuf,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    group: Group,
    /// It ends with it.
    _input: ChildStdin,
    told: mpsc::Receiver<Value>,
    /// What was told while something else was waited for.
    kept: Vec<Value>,
}

impl Node {
    /// A node that does not run yet.
    pub(crate) const fn new(name: &'static str, program: PathBuf, args: Vec<String>, dir: PathBuf) -> Self {
        Self { name, program, args, dir, process: None }
    }

    /// Starts it, and waits until it says that it is ready if it says so.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or is not ready in time.
    pub(crate) fn start(&mut self, says_ready: bool) -> Result<()> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{}.said", self.name));
        let said = File::options().create(true).append(true).open(&path);
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(said.with_context(|| format!("cannot write {}", path.display()))?);
        let mut group = Group::spawn(command)?;
        let input = group.child.stdin.take().context("the node has no input")?;
        let stdout = group.child.stdout.take().context("the node has no output")?;
        let (tell, told) = mpsc::channel();
        thread::spawn(move || listen(stdout, &tell));
        self.process = Some(Process { group, _input: input, told, kept: Vec::new() });
        if says_ready {
            self.wait("ready", |_| true)?;
        }
        Ok(())
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Whether it has not ended by itself.
    ///
    /// # Errors
    ///
    /// When it cannot be watched.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.group.child.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        self.process.as_ref().context("it does not run")?.group.signal(name)
    }

    /// Asks it to stop, and waits until it has ended by itself.
    ///
    /// # Errors
    ///
    /// When it does not in time.
    pub(crate) fn stop(&mut self, signal: &str) -> Result<()> {
        let name = self.name;
        let mut process = self.process.take().with_context(|| format!("{name} does not run"))?;
        process.group.signal(signal)?;
        let ended = process.group.wait(TIME)?;
        ensure!(ended.is_some(), "{name} does not stop");
        Ok(())
    }

    /// Waits for an event of this name that this is true of.
    ///
    /// # Errors
    ///
    /// When it does not come in time.
    pub(crate) fn wait(&mut self, event: &str, is_it: impl FnMut(&Value) -> bool) -> Result<Value> {
        let name = self.name;
        self.wait_within(TIME, event, is_it)?.with_context(|| format!("{name} did not tell of: {event}"))
    }

    /// The same within another time; `None` when it is over.
    ///
    /// # Errors
    ///
    /// When the node does not run.
    pub(crate) fn wait_within(
        &mut self,
        limit: Duration,
        name: &str,
        mut is_it: impl FnMut(&Value) -> bool,
    ) -> Result<Option<Value>> {
        let process = self.process.as_mut().with_context(|| format!("{} does not run", self.name))?;
        let mut is_it = |event: &Value| event["event"] == name && is_it(event);
        if let Some(place) = process.kept.iter().position(&mut is_it) {
            return Ok(Some(process.kept.remove(place)));
        }
        let deadline = Instant::now() + limit;
        while let Ok(event) = process.told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if is_it(&event) {
                return Ok(Some(event));
            }
            process.kept.push(event);
        }
        Ok(None)
    }

    /// Waits for so many events of this name, whose fields `body` must be these in order.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub(crate) fn wait_bodies(&mut self, event: &str, bodies: &[String]) -> Result<()> {
        for body in bodies {
            let told = self.wait(event, |_| true).with_context(|| format!("where {body} is due"))?;
            ensure!(told["body"] == **body, "{} comes where {body} is due", told["body"]);
        }
        Ok(())
    }

    /// Whether events of this name come within a moment that nobody has waited for yet.
    ///
    /// # Errors
    ///
    /// When the node does not run.
    pub(crate) fn has_more(&mut self, event: &str) -> Result<bool> {
        Ok(self.wait_within(Duration::from_millis(500), event, |_| true)?.is_some())
    }
}

fn listen(stdout: ChildStdout, tell: &mpsc::Sender<Value>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // What is no event is for nobody here.
        let Ok(event) = serde_json::from_str(&line) else { continue };
        if tell.send(event).is_err() {
            return;
        }
    }
}
