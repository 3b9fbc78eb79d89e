//! What happens to the network: packets are lost on their way from one member to another, and not on the way back.
//!
//! Each member has a machine of its own, as far as its network goes: a namespace, on a bridge. Packets are lost by a wrong
//! hardware address that a member is made to believe: what it sends goes out and reaches nobody, and nobody is told. To members that
//! is what a firewall's rule is that drops packets by their addresses, and it needs no tool but `ip`.

use std::net::Ipv4Addr;
use std::thread;

use anyhow::{Error, Result};

use super::lives::Gaps;
use super::trio::{MEMBERS, Plans};
use super::{Ground, Scene, apart};
use crate::table::Seen;

/// The network of all members; the last byte of an address is the id of a member.
const NETWORK: [u8; 3] = [10, 77, 0];

/// Where the clients are.
const CLIENTS_ADDR: &str = "10.77.0.254/24";

/// A hardware address that nobody has.
const NOBODY: &str = "02:00:00:00:00:ff";

/// Writes that must succeed after packets are lost no longer.
const WRITES_BETWEEN: usize = 300;

/// Gives each member a network of its own.
///
/// # Errors
///
/// When that cannot be had here.
pub(crate) fn prepare(ground: &Ground, plans: &mut Plans) -> Result<(), String> {
    let ids: Vec<u64> = plans.0.iter().map(|plan| plan.id).collect();
    lay(ground, &ids)?;
    for plan in &mut plans.0 {
        plan.launcher = launcher(plan.id);
    }
    plans.move_to(std::array::from_fn::<_, MEMBERS, _>(|place| addr(plans.0[place].id)));
    Ok(())
}

/// Makes a network for each of these ids, on one bridge, on which this process is as well.
///
/// # Errors
///
/// When that cannot be had here.
pub(super) fn lay(ground: &Ground, ids: &[u64]) -> Result<(), String> {
    if let Ground::Shared(why) = ground {
        return Err(format!("networks of their own cannot be had: {why}"));
    }
    // Where `ip` keeps namespaces by name, in this mount namespace alone.
    apart::run("mount", &["-t", "tmpfs", "none", "/run"])?;
    ip("link add br0 type bridge")?;
    ip(&format!("addr add {CLIENTS_ADDR} dev br0"))?;
    ip("link set br0 up")?;
    for id in ids {
        ip(&format!("netns add m{id}"))?;
        ip(&format!("link add veth{id} type veth peer name eth0 netns m{id}"))?;
        ip(&format!("link set veth{id} master br0 up"))?;
        ip(&format!("-n m{id} addr add {}/24 dev eth0", addr(*id)))?;
        ip(&format!("-n m{id} link set eth0 up"))?;
        ip(&format!("-n m{id} link set lo up"))?;
    }
    Ok(())
}

/// What starts a program in the network of this id.
pub(super) fn launcher(id: u64) -> Vec<String> {
    ["ip", "netns", "exec", &format!("m{id}")].map(str::to_owned).to_vec()
}

fn ip(arguments: &str) -> Result<(), String> {
    let words: Vec<&str> = arguments.split(' ').collect();
    apart::run("ip", &words).map_err(|why| format!("{why} (ip {arguments})"))
}

/// The address in the network of this id.
pub(super) fn addr(id: u64) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, u8::try_from(id).unwrap_or(u8::MAX))
}

/// One follower does not hear the leader; nobody hears it; it hears nobody. The others go on, and all of them when the network is whole.
///
/// # Errors
///
/// When they do not.
pub(crate) fn one_way(scene: &mut Scene<'_>) -> Result<Seen> {
    let mut gaps = Gaps::default();
    for deafness in [Deafness::Follower, Deafness::ToLeader, Deafness::Leader] {
        let (term, leader) = scene.trio.wait_leader_after(0)?;
        let others = scene.trio.others(leader);
        let since = scene.book.now();
        let ways: Vec<(u64, u64)> = match deafness {
            Deafness::Follower => others.iter().take(1).map(|other| (leader, *other)).collect(),
            Deafness::ToLeader => others.iter().map(|other| (leader, *other)).collect(),
            Deafness::Leader => others.iter().map(|other| (*other, leader)).collect(),
        };
        ways.iter().try_for_each(|way| lose(*way)).map_err(Error::msg)?;
        thread::sleep(scene.length / 6);
        if deafness != Deafness::Follower {
            scene.trio.wait_leader_after(term)?;
        }
        scene.book.wait_more(WRITES_BETWEEN)?;
        ways.iter().try_for_each(|way| mend(*way)).map_err(Error::msg)?;
        scene.trio.ids().into_iter().try_for_each(|id| scene.trio.wait_served(id))?;
        scene.book.wait_more(WRITES_BETWEEN)?;
        gaps.add(scene, since);
    }
    let detail = format!("from the leader to one, from the leader to all, from all to the leader; {gaps}");
    Ok(Seen { count: "3 ways".into(), detail })
}

/// Who does not hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deafness {
    /// One follower, the leader.
    Follower,
    /// All, the leader.
    ToLeader,
    /// The leader, all.
    Leader,
}

/// From now on nothing arrives that one sends to the other.
pub(super) fn lose((from, to): (u64, u64)) -> Result<(), String> {
    ip(&format!("-n m{from} neigh replace {} lladdr {NOBODY} dev eth0 nud permanent", addr(to)))
}

/// They arrive again.
pub(super) fn mend((from, to): (u64, u64)) -> Result<(), String> {
    ip(&format!("-n m{from} neigh del {} dev eth0", addr(to)))
}
