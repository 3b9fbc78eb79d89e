//! One member as a process: of ours or of etcd's parts, with the same flags and routes.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http::Client;
use crate::process::Group;

/// A snapshot is taken after so many entries, and so many are kept before it: few, so that who comes late needs one.
const SNAPSHOT_ENTRIES: &str = "500";
const SNAPSHOT_TAIL: &str = "100";

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
    /// Where its log and snapshots are, and what it says.
    pub(crate) dir: PathBuf,
    /// The URLs of the members that it is told when it starts, in the order of their ids.
    pub(crate) cluster: Vec<String>,
    /// Whether it joins a group that runs.
    pub(crate) is_joining: bool,
    /// Where the key-value store is served.
    pub(crate) addr: SocketAddr,
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
        fs::create_dir_all(&self.plan.dir)
            .with_context(|| format!("cannot make {}", self.plan.dir.display()))?;
        let path = self.said();
        let said = File::options().create(true).append(true).open(&path);
        let said = said.with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = Command::new(&self.plan.program);
        command.args(["--id", &self.plan.id.to_string(), "--port", &self.plan.addr.port().to_string()]);
        command.args(["--cluster", &self.plan.cluster.join(",")]).arg("--dir").arg(&self.plan.dir);
        command.args(["--snapshot-entries", SNAPSHOT_ENTRIES, "--snapshot-tail", SNAPSHOT_TAIL]);
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

    fn process(&self) -> Result<&Group> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.name()))
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    ///
    /// When it has not within this time.
    pub(crate) fn wait_end(&mut self, limit: Duration) -> Result<()> {
        let name = self.name();
        let process = self.process.as_mut().with_context(|| format!("{name} does not run"))?;
        ensure!(process.wait(limit)?.is_some(), "{name} still runs after {limit:?}");
        self.process = None;
        Ok(())
    }

    /// The indexes of the snapshots that it has on its disk.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub(crate) fn snapshots(&self) -> Result<Vec<u64>> {
        let mut indexes = Vec::new();
        let dir = self.plan.dir.join("snapshots");
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
