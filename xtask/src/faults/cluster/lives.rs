//! What happens to nodes and links: nodes are killed, stand still, and are restarted in turn; packets are lost one way.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::Scene;
use super::nodes::Role;
use crate::faults::network;
use crate::wait::wait;

/// How long a node that was killed is away, at most.
const AWAY_TIME: Duration = Duration::from_secs(3);

/// How long a node stands still, and packets are lost: longer than a link may be silent, and a session wait for its gate.
const STILL_TIME: Duration = Duration::from_secs(5);

/// How long nodes are left alone after one is back.
const REST_TIME: Duration = Duration::from_secs(1);

/// How long backends may take to end the sessions of a gate that is gone.
const ENDED_TIME: Duration = Duration::from_secs(10);

/// Each node of a role is killed, and started again.
///
/// # Errors
///
/// When it does not come back, or backends keep the sessions of a gate.
pub(super) fn kill(scene: &mut Scene, role: Role) -> Result<()> {
    for name in scene.nodes.names(role) {
        kill_one(scene, &name)?;
    }
    Ok(())
}

fn kill_one(scene: &mut Scene, name: &str) -> Result<()> {
    let before = scene.gate_lost();
    let killed = Instant::now();
    scene.crowd.mark(name)?;
    scene.nodes.node_mut(name)?.kill();
    if scene.nodes.node(name)?.role == Role::Gate {
        scene.wait_sessions_ended(name, &before, killed)?;
    }
    thread::sleep(AWAY_TIME.min(scene.length / 5).saturating_sub(killed.elapsed()));
    scene.nodes.start(name)?;
    thread::sleep(REST_TIME);
    Ok(())
}

/// The voter that leads is killed and started again, or each of the others.
///
/// # Errors
///
/// When nobody leads then, or it does not come back.
pub(super) fn kill_voters(scene: &mut Scene, leads: bool) -> Result<()> {
    let (term, leader) = scene.nodes.wait_leader_after(0)?;
    if !leads {
        let names = scene.nodes.names(Role::Voter).into_iter().filter(|name| *name != leader);
        return names.collect::<Vec<_>>().iter().try_for_each(|name| kill_one(scene, name));
    }
    let killed = Instant::now();
    scene.crowd.mark(&leader)?;
    scene.nodes.node_mut(&leader)?.kill();
    scene.wait_led(term, killed)?;
    thread::sleep(AWAY_TIME.min(scene.length / 5).saturating_sub(killed.elapsed()));
    scene.nodes.start(&leader)
}

/// A node of a role stands still, and goes on.
///
/// # Errors
///
/// When signals cannot be sent, or backends keep the sessions of a gate.
pub(super) fn freeze(scene: &mut Scene, role: Role) -> Result<()> {
    let name = scene.nodes.names(role).remove(0);
    freeze_one(scene, &name, |scene, before, since| {
        if role == Role::Gate { scene.wait_sessions_ended(&name, before, since) } else { Ok(()) }
    })
}

/// The voter that leads stands still, or one of the others, and goes on.
///
/// # Errors
///
/// When nobody leads meanwhile.
pub(super) fn freeze_voter(scene: &mut Scene, leads: bool) -> Result<()> {
    let (term, leader) = scene.nodes.wait_leader_after(0)?;
    let mut others = scene.nodes.names(Role::Voter).into_iter().filter(|name| *name != leader);
    let name = if leads { leader.clone() } else { others.next().unwrap_or(leader) };
    freeze_one(scene, &name, |scene, _, since| if leads { scene.wait_led(term, since) } else { Ok(()) })
}

fn freeze_one(
    scene: &mut Scene,
    name: &str,
    meanwhile: impl FnOnce(&mut Scene, &[u64], Instant) -> Result<()>,
) -> Result<()> {
    let before = scene.gate_lost();
    let frozen = Instant::now();
    scene.crowd.mark(name)?;
    scene.nodes.node(name)?.signal("STOP")?;
    let seen = meanwhile(scene, &before, frozen);
    thread::sleep(STILL_TIME.saturating_sub(frozen.elapsed()));
    scene.nodes.node(name)?.signal("CONT")?;
    seen
}

/// Nothing of a gate arrives at a backend, then nothing of that backend at the gate.
///
/// # Errors
///
/// When packets cannot be lost.
pub(super) fn one_way(scene: &mut Scene) -> Result<()> {
    let ids = |role| scene.nodes.of(role).first().map_or(0, |node| node.id);
    let (gate, backend) = (ids(Role::Gate), ids(Role::Backend));
    for way in [(gate, backend), (backend, gate)] {
        scene.crowd.mark(&scene.nodes.names(Role::Backend).remove(0))?;
        network::lose(way).map_err(Error::msg)?;
        thread::sleep(STILL_TIME);
        network::mend(way).map_err(Error::msg)?;
        thread::sleep(2 * REST_TIME);
    }
    Ok(())
}

/// All nodes are asked to end, one after the other, each when the one before is back.
///
/// # Errors
///
/// When one does not end well, or does not come back.
pub(super) fn rolling(scene: &mut Scene) -> Result<()> {
    let names: Vec<String> = scene.nodes.all().iter().map(|node| node.name.clone()).collect();
    for name in names {
        let asked = Instant::now();
        scene.crowd.mark(&name)?;
        let is_clean = scene.nodes.node_mut(&name)?.stop()?;
        let took = asked.elapsed().as_millis();
        let how = if is_clean { "clean" } else { "not clean" };
        scene.detected.push(format!("{name}: ended within {took} ms, {how}"));
        scene.nodes.start(&name)?;
        thread::sleep(REST_TIME);
    }
    Ok(())
}

impl Scene {
    /// How many sessions each backend has ended so far because their gate was lost.
    fn gate_lost(&self) -> Vec<u64> {
        let lost = |node: &super::nodes::Node| node.gauges().unwrap_or_default().gate_lost;
        self.nodes.of(Role::Backend).into_iter().map(lost).collect()
    }

    /// Waits until each backend has ended the sessions of a gate.
    fn wait_sessions_ended(&mut self, name: &str, before: &[u64], since: Instant) -> Result<()> {
        wait(&format!("backends end the sessions of {name}"), ENDED_TIME, || {
            let now = self.gate_lost();
            now.iter().zip(before).all(|(now, before)| now > before).then_some(())
        })?;
        let took = since.elapsed().as_millis();
        self.detected.push(format!("{name}: all backends ended its sessions within {took} ms"));
        Ok(())
    }

    /// Waits until another voter leads.
    fn wait_led(&mut self, term: u64, since: Instant) -> Result<()> {
        let (_, leader) = self.nodes.wait_leader_after(term)?;
        self.detected.push(format!("{leader} leads after {} ms", since.elapsed().as_millis()));
        Ok(())
    }
}
