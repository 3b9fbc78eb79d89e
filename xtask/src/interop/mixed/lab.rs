//! A group under test: its members, who leads it, and what is asked of it until it answers or its time is over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::ledger::Ledger;
use crate::addrs;
use crate::http::Answer;
use crate::member::{Kind, Member, Plan};
use crate::wait::{LOOK, wait};

/// How long the group may take for anything: a few elections and requests that timed out.
pub(crate) const TIME: Duration = Duration::from_secs(30);

/// How long a transfer may take before it is asked for again.
const TRANSFER_TIME: Duration = Duration::from_secs(3);

/// The members: the first ones, then those that join.
const KINDS: [Kind; 7] =
    [Kind::Etcd, Kind::Etcd, Kind::Dunlin, Kind::Dunlin, Kind::Etcd, Kind::Etcd, Kind::Dunlin];

/// A snapshot is taken after so many entries, and so many are kept before it: few, so that who comes late needs one.
const SNAPSHOT_ENTRIES: u64 = 500;
const SNAPSHOT_TAIL: u64 = 100;

/// How many members the group begins with.
const FIRST: usize = 3;

/// How etcd's member sees the group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Look {
    pub(crate) leader: u64,
    pub(crate) term: u64,
    pub(crate) applied: u64,
    pub(crate) members: Vec<u64>,
    pub(crate) learners: Vec<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) members: BTreeMap<u64, Member>,
    pub(crate) ledger: Arc<Ledger>,
    /// How many writes there are to be in the end.
    pub(crate) writes: usize,
}

impl Lab {
    /// A group of which nobody runs yet.
    ///
    /// # Errors
    ///
    /// When there are no ports.
    pub(crate) fn new((etcd, dunlin): (PathBuf, PathBuf), dir: &Path, writes: usize) -> Result<Self> {
        let addrs = addrs::free::<{ 2 * KINDS.len() }>()?;
        let (peer_addrs, kv_addrs) = addrs.split_at(KINDS.len());
        let urls: Vec<String> = peer_addrs.iter().map(|addr| format!("http://{addr}")).collect();
        let mut members = BTreeMap::new();
        for ((place, kind), id) in KINDS.into_iter().enumerate().zip(1..) {
            let plan = Plan {
                id,
                kind,
                program: if kind == Kind::Etcd { etcd.clone() } else { dunlin.clone() },
                launcher: Vec::new(),
                dir: dir.join(id.to_string()),
                snapshot_entries: SNAPSHOT_ENTRIES,
                snapshot_tail: SNAPSHOT_TAIL,
                cluster: urls[..FIRST.max(place + 1)].to_vec(),
                is_joining: place >= FIRST,
                addr: kv_addrs[place],
            };
            members.insert(id, Member::new(plan));
        }
        Ok(Self { members, ledger: Arc::default(), writes })
    }

    pub(crate) fn first_ids() -> [u64; FIRST] {
        [1, 2, 3]
    }

    pub(crate) fn member(&mut self, id: u64) -> Result<&mut Member> {
        self.members.get_mut(&id).with_context(|| format!("there is no member {id}"))
    }

    fn running(&self, kind: Kind) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |member| member.is_running() && member.plan.kind == kind)
    }

    /// The ids of all that run.
    pub(crate) fn running_ids(&self) -> Vec<u64> {
        self.members.values().filter(|member| member.is_running()).map(|member| member.plan.id).collect()
    }

    /// Where all that run are.
    pub(crate) fn running_addrs(&self) -> Vec<SocketAddr> {
        self.members.values().filter(|member| member.is_running()).map(|member| member.plan.addr).collect()
    }

    /// The first running member of the kind that this one is not of.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn of_other_kind(&self, id: u64) -> Result<u64> {
        let kind = match self.members.get(&id).map(|member| member.plan.kind) {
            Some(Kind::Etcd) => Kind::Dunlin,
            _ => Kind::Etcd,
        };
        self.running(kind).next().map(|member| member.plan.id).context("nobody of the other kind runs")
    }

    /// How each running member of etcd's sees the group; `None` when one does not answer, or there is none.
    pub(crate) fn looks(&self) -> Option<Vec<Look>> {
        let look = |member: &Member| {
            let answer = member.client().ask("GET", "/debug/state", "").ok()?;
            serde_json::from_slice(&answer.body).ok()
        };
        let looks: Vec<Look> = self.running(Kind::Etcd).map(look).collect::<Option<_>>()?;
        (!looks.is_empty()).then_some(looks)
    }

    /// Waits until all running members of etcd's see the same running leader.
    ///
    /// # Errors
    ///
    /// When they do not in time.
    pub(crate) fn wait_leader(&self) -> Result<u64> {
        wait("all see the same leader", TIME, || {
            let looks = self.looks()?;
            let first = looks.first()?;
            let is_same = looks.iter().all(|look| (look.leader, look.term) == (first.leader, first.term));
            let leads = self.members.get(&first.leader).is_some_and(Member::is_running);
            (is_same && leads).then_some(first.leader)
        })
    }

    /// Waits until all running members of etcd's see something.
    ///
    /// # Errors
    ///
    /// When they do not in time.
    pub(crate) fn all_see(&self, what: &str, is_it: impl Fn(&Look) -> bool) -> Result<()> {
        wait(what, TIME, || self.looks().filter(|looks| looks.iter().all(&is_it)).map(drop))
    }

    /// Lets a member lead.
    ///
    /// # Errors
    ///
    /// When it does not in time.
    pub(crate) fn lead(&self, id: u64) -> Result<()> {
        let deadline = Instant::now() + TIME;
        loop {
            let leader = self.wait_leader()?;
            if leader == id {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "member {id} does not come to lead; {leader} does");
            // Whoever is asked passes it on to the leader, whose answer is what happens. A leader of ours takes it from the one
            // who is to lead, as Raft has it.
            let asked = self.running(Kind::Etcd).find(|member| member.plan.id == id);
            let asked = asked.or_else(|| self.running(Kind::Etcd).find(|member| member.plan.id == leader));
            let asked = asked.or_else(|| self.running(Kind::Etcd).next()).context("nobody can be asked")?;
            drop(asked.client().ask("POST", &format!("/debug/transfer/{id}"), ""));
            drop(wait("it leads", TRANSFER_TIME, || (self.wait_leader().ok()? == id).then_some(())));
        }
    }

    /// Asks a member until it answers so.
    ///
    /// # Errors
    ///
    /// When it does not in time; the last answer is told.
    pub(crate) fn ask_until(
        &self,
        id: u64,
        (method, path, body): (&str, &str, &str),
        is_it: impl Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let member = self.members.get(&id).with_context(|| format!("there is no member {id}"))?;
        let (client, deadline) = (member.client(), Instant::now() + TIME);
        loop {
            let last = match client.ask(method, path, body) {
                Ok(answer) if is_it(&answer) => return Ok(answer),
                Ok(answer) => format!("{} {:.200}", answer.status, answer.text().trim_end()),
                Err(error) => format!("{:#}", anyhow::Error::from(error)),
            };
            if Instant::now() >= deadline {
                bail!("{method} {path} at {}: {last}", member.name());
            }
            thread::sleep(LOOK);
        }
    }

    /// Writes through a member, again until it is acknowledged.
    ///
    /// # Errors
    ///
    /// When it is not in time.
    pub(crate) fn put(&self, id: u64, key: &str, value: &str) -> Result<()> {
        self.ask_until(id, ("PUT", &format!("/{key}"), value), |answer| answer.status == 204).map(drop)
    }

    /// What a member reads that is not stale; `None` where there is no such key.
    ///
    /// # Errors
    ///
    /// When it says neither in time.
    pub(crate) fn get(&self, id: u64, key: &str) -> Result<Option<String>> {
        let is_said = |answer: &Answer| answer.status == 200 || answer.status == 404;
        let answer = self.ask_until(id, ("GET", &format!("/{key}"), ""), is_said)?;
        Ok((answer.status == 200).then(|| answer.text()))
    }
}
