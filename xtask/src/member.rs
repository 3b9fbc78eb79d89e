//! One member as a process: of ours or of etcd's parts, with the same flags and routes.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::http::Client;
use crate::process::Group;

/// Whose program a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Etcd,
    Dunlin,
}

/// What a member is.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    /// What starts the program, with its arguments; nothing for nobody.
    pub(crate) launcher: Vec<String>,
    /// Where its disk is, and what it says.
    pub(crate) dir: PathBuf,
    /// A snapshot is taken after so many entries, and so many are kept before it.
    pub(crate) snapshot_entries: u64,
    pub(crate) snapshot_tail: u64,
    /// The URLs of the members that it is told when it starts, in the order of their ids.
    pub(crate) cluster: Vec<String>,
    /// Whether it joins a group that runs.
    pub(crate) is_joining: bool,
    /// Where the key-value store is served.
    pub(crate) addr: SocketAddr,
}

impl Plan {
    /// The folder of its log and its snapshots.
    pub(crate) fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    fn command(&self) -> Command {
        let Some((first, more)) = self.launcher.split_first() else { return Command::new(&self.program) };
        let mut command = Command::new(first);
        command.args(more).arg(&self.program);
        command
    }
}

/// A member. Its process ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) plan: Plan,
    process: Option<Group>,
}

impl Member {
    /// One that does not run yet.
    pub(crate) const fn new(plan: Plan) -> Self {
        Self { plan, process: None }
    }

    /// For the reader.
    pub(crate) fn name(&self) -> String {
        let whose = match self.plan.kind {
            Kind::Etcd => "etcd's",
            Kind::Dunlin => "ours",
        };
        format!("member {} ({whose})", self.plan.id)
    }

    /// The file with what it said, in all of its lives.
    pub(crate) fn said(&self) -> PathBuf {
        self.plan.dir.join("said")
    }

    /// Starts it, for the first time or from what is on its disk.
    ///
    /// # Errors
    ///
    /// When there is no such program or no place for it.
    pub(crate) fn start(&mut self) -> Result<()> {
        let disk = self.plan.disk();
        fs::create_dir_all(&disk).with_context(|| format!("cannot make {}", disk.display()))?;
        let path = self.said();
        let said = File::options().create(true).append(true).open(&path);
        let said = said.with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = self.plan.command();
        command.args(["--id", &self.plan.id.to_string(), "--port", &self.plan.addr.port().to_string()]);
        command.args(["--cluster", &self.plan.cluster.join(",")]).arg("--dir").arg(&disk);
        command.args(["--snapshot-entries", &self.plan.snapshot_entries.to_string()]);
        command.args(["--snapshot-tail", &self.plan.snapshot_tail.to_string()]);
        if !self.plan.addr.ip().is_loopback() {
            command.args(["--host", &self.plan.addr.ip().to_string()]);
        }
        if self.plan.is_joining {
            command.arg("--join");
        }
        command.env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        self.process = Some(Group::spawn(command)?);
        Ok(())
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Lets it do nothing at all, as a machine that is overloaded, until it is let go on.
    ///
    /// # Errors
    ///
    /// When it does not run, or signals cannot be sent here.
    pub(crate) fn pause(&self) -> Result<()> {
        self.process()?.signal("STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// As of [`pause`](Self::pause).
    pub(crate) fn go_on(&self) -> Result<()> {
        self.process()?.signal("CONT")
    }

    /// Asks it to end, as whoever runs it by hand does.
    ///
    /// # Errors
    ///
    /// As of [`pause`](Self::pause).
    pub(crate) fn interrupt(&self) -> Result<()> {
        self.process()?.signal("INT")
    }

    /// The id of its process.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.process()?.child.id())
    }

    fn process(&self) -> Result<&Group> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.name()))
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Waits until it has ended by itself, and says whether it ended well.
    ///
    /// # Errors
    ///
    /// When it has not within this time.
    pub(crate) fn wait_end(&mut self, limit: Duration) -> Result<bool> {
        let name = self.name();
        let process = self.process.as_mut().with_context(|| format!("{name} does not run"))?;
        let ended = process.wait(limit)?.with_context(|| format!("{name} still runs after {limit:?}"))?;
        self.process = None;
        Ok(ended)
    }

    /// The indexes of the snapshots that it has on its disk.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub(crate) fn snapshots(&self) -> Result<Vec<u64>> {
        let mut indexes = Vec::new();
        let dir = self.plan.disk().join("snapshots");
        if !dir.exists() {
            return Ok(indexes);
        }
        for file in fs::read_dir(dir)? {
            let name = file?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(".snap.db"));
            indexes.extend(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()));
        }
        indexes.sort_unstable();
        Ok(indexes)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.plan.addr)
    }
}
