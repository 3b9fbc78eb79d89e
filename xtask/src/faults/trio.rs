//! The group: three members as processes, who leads them by what they say, and whether one of them serves.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::addrs;
use crate::member::{Kind, Member, Plan};
use crate::wait::wait;

/// Members of the group.
pub(crate) const MEMBERS: usize = 3;

/// A snapshot is taken after so many entries, and so many are kept before it: some each case, and some of them for who comes back.
const SNAPSHOT_ENTRIES: u64 = 4_000;
const SNAPSHOT_TAIL: u64 = 500;

/// How long the group may take for anything: a few elections, and a snapshot.
const TIME: Duration = Duration::from_secs(30);

/// What a member says when it comes to lead.
const LEADS: &str = "role=Leader";

/// How a group is to be started.
#[derive(Debug)]
pub(crate) struct Plans(pub(crate) Vec<Plan>);

impl Plans {
    /// On loopback.
    ///
    /// # Errors
    ///
    /// When there are no ports.
    pub(crate) fn new(program: &Path, dir: &Path) -> Result<Self> {
        let addrs = addrs::free::<{ 2 * MEMBERS }>()?;
        let (peer_addrs, kv_addrs) = addrs.split_at(MEMBERS);
        let plans = (1..).zip(kv_addrs).map(|(id, addr)| Plan {
            id,
            kind: Kind::Dunlin,
            program: program.to_owned(),
            launcher: Vec::new(),
            dir: dir.join(id.to_string()),
            snapshot_entries: SNAPSHOT_ENTRIES,
            snapshot_tail: SNAPSHOT_TAIL,
            cluster: Vec::new(),
            is_joining: false,
            addr: *addr,
        });
        let mut plans = Self(plans.collect());
        plans.be_reached(peer_addrs);
        Ok(plans)
    }

    /// Moves each member to an address of its own, on ports of which nobody else knows there.
    pub(crate) fn move_to(&mut self, ips: [Ipv4Addr; MEMBERS]) {
        const PEER_PORT: u16 = 12379;
        const PORT: u16 = 12380;
        for (plan, ip) in self.0.iter_mut().zip(ips) {
            plan.addr = SocketAddr::from((ip, PORT));
        }
        self.be_reached(&ips.map(|ip| SocketAddr::from((ip, PEER_PORT))));
    }

    fn be_reached(&mut self, peer_addrs: &[SocketAddr]) {
        let urls: Vec<String> = peer_addrs.iter().map(|addr| format!("http://{addr}")).collect();
        self.0.iter_mut().for_each(|plan| plan.cluster.clone_from(&urls));
    }
}

/// The group.
#[derive(Debug)]
pub(crate) struct Trio {
    members: Vec<Member>,
}

impl Trio {
    /// Starts all members, and waits until all serve.
    ///
    /// # Errors
    ///
    /// When they do not in time.
    pub(crate) fn start(plans: Plans) -> Result<Self> {
        let mut trio = Self { members: plans.0.into_iter().map(Member::new).collect() };
        trio.members.iter_mut().try_for_each(Member::start)?;
        trio.ids().into_iter().try_for_each(|id| trio.wait_served(id))?;
        Ok(trio)
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.plan.id).collect()
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.plan.addr).collect()
    }

    pub(crate) fn member(&self, id: u64) -> Result<&Member> {
        let found = self.members.iter().find(|member| member.plan.id == id);
        found.with_context(|| format!("there is no member {id}"))
    }

    pub(crate) fn member_mut(&mut self, id: u64) -> Result<&mut Member> {
        let found = self.members.iter_mut().find(|member| member.plan.id == id);
        found.with_context(|| format!("there is no member {id}"))
    }

    /// All but one.
    pub(crate) fn others(&self, id: u64) -> Vec<u64> {
        self.ids().into_iter().filter(|other| *other != id).collect()
    }

    /// Who came to lead in the latest term. It may have died since.
    pub(crate) fn leader(&self) -> Option<(u64, u64)> {
        let said = |member: &Member| {
            let text = fs::read_to_string(member.said()).unwrap_or_default();
            let terms = text.lines().filter(|line| line.contains(LEADS)).filter_map(term);
            Some((terms.max()?, member.plan.id))
        };
        self.members.iter().filter_map(said).max()
    }

    /// Waits for a leader of a later term than this one, and gives its term and its id.
    ///
    /// # Errors
    ///
    /// When there is none in time.
    pub(crate) fn wait_leader_after(&self, term: u64) -> Result<(u64, u64)> {
        wait("somebody else leads", TIME, || self.leader().filter(|(led, _)| *led > term))
    }

    /// Waits until a member has learnt of a later term than this one, so that it no longer leads in this one.
    ///
    /// # Errors
    ///
    /// When it is not in time.
    pub(crate) fn wait_term_after(&self, id: u64, before: u64) -> Result<()> {
        let member = self.member(id)?;
        wait(&format!("{} leads no longer", member.name()), TIME, || {
            let text = fs::read_to_string(member.said()).ok()?;
            let last = text.lines().filter_map(term).next_back()?;
            (last > before).then_some(())
        })
    }

    /// Waits until a member acknowledges a write.
    ///
    /// # Errors
    ///
    /// When it does not in time.
    pub(crate) fn wait_served(&self, id: u64) -> Result<()> {
        let member = self.member(id)?;
        let client = member.client();
        wait(&format!("{} serves", member.name()), TIME, || {
            let answer = client.ask("PUT", &format!("/served-{id}"), "").ok()?;
            (answer.status == 204).then_some(())
        })
    }

    /// Waits until a member has said something.
    ///
    /// # Errors
    ///
    /// When it has not in time.
    pub(crate) fn wait_said(&self, id: u64, what: &str) -> Result<()> {
        let member = self.member(id)?;
        wait(&format!("{} says `{what}`", member.name()), TIME, || {
            fs::read_to_string(member.said()).ok()?.contains(what).then_some(())
        })
    }
}

/// The term in a line of a member.
fn term(line: &str) -> Option<u64> {
    line.split(' ').find_map(|word| word.strip_prefix("term="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::term;

    #[test]
    fn term_is_read_from_what_a_member_says() {
        let line = "2026-01-01T00:00:00Z  INFO dunlin_registry::node::run: raft member=1 term=12 leader=1 role=Leader";
        assert_eq!(term(line), Some(12));
        assert_eq!(term("2026-01-01T00:00:00Z  INFO raftkv: the key-value store is served"), None);
    }
}
