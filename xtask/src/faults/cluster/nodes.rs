//! The nodes as processes: how each is started, what it says of its sessions, and which voter leads.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::addrs;
use crate::faults::{Ground, network};
use crate::process::Group;
use crate::wait::wait;

/// How long a node may take to start, or to lead.
const START_TIME: Duration = Duration::from_secs(30);

/// How long a node may take to end that was asked to: its own 10 s, and last words.
const END_TIME: Duration = Duration::from_secs(20);

/// What a voter says when it comes to lead.
const LEADS: &str = "role=Leader";

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Voter,
    Gate,
    Backend,
}

/// What each node of a cluster is.
const ROLES: [Role; 7] =
    [Role::Voter, Role::Voter, Role::Voter, Role::Gate, Role::Gate, Role::Backend, Role::Backend];

/// What a node says of itself.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Gauges {
    pub(super) sessions: u64,
    pub(super) travellers: u64,
    pub(super) visitors: u64,
    pub(super) gate_lost: u64,
    pub(super) is_clean: Option<bool>,
}

/// A node. Its process ends when this is dropped.
#[derive(Debug)]
pub(super) struct Node {
    /// From one on; voters have theirs as voters as well.
    pub(super) id: u64,
    pub(super) role: Role,
    pub(super) name: String,
    cluster: SocketAddr,
    pub(super) clients: SocketAddr,
    launcher: Vec<String>,
    dir: PathBuf,
    process: Option<Group>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Nodes {
    program: PathBuf,
    dir: PathBuf,
    nodes: Vec<Node>,
}

impl Nodes {
    /// The nodes of a cluster, on loopback or in networks of their own; or why those cannot be had.
    ///
    /// # Errors
    ///
    /// When there are no ports.
    pub(super) fn new(program: &Path, dir: &Path, apart: Option<&Ground>) -> Result<Result<Self, String>> {
        const CLUSTER_PORT: u16 = 12_379;
        const CLIENTS_PORT: u16 = 12_380;
        let ids: Vec<u64> = (1..).take(ROLES.len()).collect();
        if let Some(ground) = apart
            && let Err(why) = network::lay(ground, &ids)
        {
            return Ok(Err(why));
        }
        let addrs = addrs::free::<{ 2 * ROLES.len() }>()?;
        let (cluster_addrs, client_addrs) = addrs.split_at(ROLES.len());
        let nodes = ids.into_iter().enumerate().map(|(place, id)| {
            let role = ROLES[place];
            let number = ROLES.iter().take(place + 1).filter(|other| **other == role).count();
            let name = format!("{}-{number}", format!("{role:?}").to_lowercase());
            let own = |port| SocketAddr::from((network::addr(id), port));
            let (cluster, clients) = match apart {
                Some(_) => (own(CLUSTER_PORT), own(CLIENTS_PORT)),
                None => (cluster_addrs[place], client_addrs[place]),
            };
            let launcher = apart.map(|_| network::launcher(id)).unwrap_or_default();
            Node { id, role, dir: dir.join(&name), name, cluster, clients, launcher, process: None }
        });
        Ok(Ok(Self { program: program.to_owned(), dir: dir.to_owned(), nodes: nodes.collect() }))
    }

    /// Starts all, and waits until all have found each other.
    ///
    /// # Errors
    ///
    /// When they do not in time.
    pub(super) fn start_all(&mut self) -> Result<()> {
        let names: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        names.iter().try_for_each(|name| self.spawn(name))?;
        names.iter().try_for_each(|name| self.wait_started(name))
    }

    /// Starts one again, and waits until it is there.
    ///
    /// # Errors
    ///
    /// When it is not in time.
    pub(super) fn start(&mut self, name: &str) -> Result<()> {
        self.spawn(name)?;
        self.wait_started(name)
    }

    fn spawn(&mut self, name: &str) -> Result<()> {
        let voters =
            self.of(Role::Voter).into_iter().map(|voter| format!("{}=http://{}", voter.id, voter.cluster));
        let voters = voters.collect::<Vec<_>>().join(",");
        let program = self.program.clone();
        self.node_mut(name)?.spawn(&program, &voters)
    }

    fn wait_started(&self, name: &str) -> Result<()> {
        let node = self.node(name)?;
        wait(&format!("{name} has started"), START_TIME, || node.gauges()).map(|_| ())
    }

    /// Where all that is said is kept.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn all(&self) -> &[Node] {
        &self.nodes
    }

    /// Those that are for this.
    pub(super) fn of(&self, role: Role) -> Vec<&Node> {
        self.nodes.iter().filter(|node| node.role == role).collect()
    }

    /// Their names.
    pub(super) fn names(&self, role: Role) -> Vec<String> {
        self.of(role).into_iter().map(|node| node.name.clone()).collect()
    }

    pub(super) fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.with_context(|| format!("there is no node {name}"))
    }

    pub(super) fn node_mut(&mut self, name: &str) -> Result<&mut Node> {
        let found = self.nodes.iter_mut().find(|node| node.name == name);
        found.with_context(|| format!("there is no node {name}"))
    }

    /// The latest term in which a voter came to lead, and its name.
    fn leader(&self) -> Option<(u64, String)> {
        let led = |node: &&Node| {
            let text = fs::read_to_string(node.said()).unwrap_or_default();
            let terms = text.lines().filter(|line| line.contains(LEADS)).filter_map(term);
            Some((terms.max()?, node.name.clone()))
        };
        self.of(Role::Voter).iter().filter_map(led).max()
    }

    /// Waits for a leader of a later term than this one.
    ///
    /// # Errors
    ///
    /// When there is none in time.
    pub(super) fn wait_leader_after(&self, before: u64) -> Result<(u64, String)> {
        wait("somebody leads", START_TIME, || self.leader().filter(|(term, _)| *term > before))
    }
}

impl Node {
    fn spawn(&mut self, program: &Path, voters: &str) -> Result<()> {
        let disk = self.dir.join("disk");
        fs::create_dir_all(&disk).with_context(|| format!("cannot make {}", disk.display()))?;
        let said = File::options().create(true).append(true).open(self.said())?;
        // What it said of its sessions in an earlier life is no longer true.
        let gauges = File::create(self.gauges_path())?;
        let mut command = match self.launcher.split_first() {
            Some((first, more)) => {
                let mut command = Command::new(first);
                command.args(more).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["node", "--name", &self.name, "--voters", voters]);
        command.args(["--cluster", &self.cluster.to_string()]);
        match self.role {
            Role::Voter => command.args(["--voter", &self.id.to_string()]).arg("--dir").arg(&disk),
            Role::Gate => command.args(["--clients", &self.clients.to_string()]),
            Role::Backend => command.arg("--backend"),
        };
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(gauges).stderr(said);
        self.process = Some(Group::spawn(command)?);
        Ok(())
    }

    fn said(&self) -> PathBuf {
        self.dir.join("said")
    }

    fn gauges_path(&self) -> PathBuf {
        self.dir.join("gauges")
    }

    /// What it said last of its sessions in this life, once it has started.
    pub(super) fn gauges(&self) -> Option<Gauges> {
        let text = fs::read_to_string(self.gauges_path()).ok()?;
        text.lines().rev().find_map(|line| serde_json::from_str(line).ok())
    }

    /// Ends it as a crash does.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub(super) fn signal(&self, signal: &str) -> Result<()> {
        let process = self.process.as_ref().with_context(|| format!("{} does not run", self.name))?;
        process.signal(signal)
    }

    /// Asks it to end, and says whether nothing was cut short.
    ///
    /// # Errors
    ///
    /// When it does not end in time, or not well.
    pub(super) fn stop(&mut self) -> Result<bool> {
        self.signal("TERM")?;
        let process = self.process.as_mut().context("it runs")?;
        let ended = process.wait(END_TIME)?.with_context(|| format!("{} does not end", self.name))?;
        ensure!(ended, "{} did not end well", self.name);
        self.process = None;
        Ok(self.gauges().and_then(|gauges| gauges.is_clean) == Some(true))
    }
}

/// The term in a line of a voter.
fn term(line: &str) -> Option<u64> {
    line.split(' ').find_map(|word| word.strip_prefix("term="))?.parse().ok()
}
