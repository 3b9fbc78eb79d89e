//! What happens to processes: they are killed, stand still, and are restarted in turn.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scene;
use super::clients::longest_gap;
use crate::table::Seen;

/// Writes that must succeed after a member is back, before the next thing happens.
const WRITES_BETWEEN: usize = 300;

/// How long a member that was killed is away, at most.
const AWAY_TIME: Duration = Duration::from_secs(3);

/// How long a leader stands still, at most.
const STILL_TIME: Duration = Duration::from_secs(10);

/// How long a member may take to end that was asked to.
const END_TIME: Duration = Duration::from_secs(10);

/// The longest time without a write after the death of a leader that is aimed at, with heartbeats every 100 ms.
const GAP_GOAL: Duration = Duration::from_millis(1_500);

/// Milliseconds in which nothing was acknowledged, one for each thing that happened.
#[derive(Debug, Default)]
pub(crate) struct Gaps(Vec<u64>);

impl Gaps {
    /// Looks at what was acknowledged since then.
    pub(crate) fn add(&mut self, scene: &Scene<'_>, since: u64) {
        let gap = longest_gap(&scene.book.acknowledgements(), since, scene.book.now());
        self.0.push(gap / 1_000);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    fn longest(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    fn median(&self) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Gaps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ms without a write, median {}, longest {}", self.0, self.median(), self.longest())
    }
}

/// The leader is killed, again and again, and goes on from its disk a little later.
///
/// # Errors
///
/// When nobody leads after it, or it does not come back.
pub(crate) fn kills(scene: &mut Scene<'_>) -> Result<Seen> {
    let away = AWAY_TIME.min(scene.length / 5);
    let mut gaps = Gaps::default();
    while gaps.count() == 0 || scene.left_until(0.9) > 2 * away {
        let (term, leader) = scene.trio.wait_leader_after(0)?;
        let killed = scene.book.now();
        scene.trio.member_mut(leader)?.kill();
        thread::sleep(away);
        scene.trio.wait_leader_after(term)?;
        scene.trio.member_mut(leader)?.start()?;
        scene.trio.wait_served(leader)?;
        scene.book.wait_more(WRITES_BETWEEN)?;
        gaps.add(scene, killed);
    }
    let (goal, over) =
        (GAP_GOAL.as_millis(), gaps.0.iter().filter(|gap| u128::from(**gap) > GAP_GOAL.as_millis()));
    let said = match over.count() {
        0 => format!("the goal of {goal} ms held each time"),
        over => format!("the goal of {goal} ms was missed {over} times of {}", gaps.count()),
    };
    Ok(Seen { count: format!("{} kills", gaps.count()), detail: format!("{gaps}; {said}") })
}

/// The leader stands still, then goes on and learns that others have gone on without it.
///
/// # Errors
///
/// When they have not, or it does not follow them then.
pub(crate) fn stops(scene: &mut Scene<'_>) -> Result<Seen> {
    let still = STILL_TIME.min(scene.length / 3);
    let mut gaps = Gaps::default();
    while gaps.count() == 0 || scene.left_until(0.95) > still {
        let (term, leader) = scene.trio.wait_leader_after(0)?;
        let stopped = scene.book.now();
        scene.trio.member(leader)?.pause()?;
        thread::sleep(still);
        let went_on = scene.trio.wait_leader_after(term).and_then(|_| scene.book.wait_more(WRITES_BETWEEN));
        scene.trio.member(leader)?.go_on()?;
        went_on?;
        scene.trio.wait_term_after(leader, term)?;
        scene.trio.wait_served(leader)?;
        scene.book.wait_more(WRITES_BETWEEN)?;
        gaps.add(scene, stopped);
    }
    let detail = format!("for {} ms each, after which it followed; {gaps}", still.as_millis());
    Ok(Seen { count: format!("{} stops", gaps.count()), detail })
}

/// All members are asked to end, one after the other, each when the one before serves again.
///
/// # Errors
///
/// When one does not end well, or does not serve again.
pub(crate) fn restarts(scene: &mut Scene<'_>) -> Result<Seen> {
    let mut gaps = Gaps::default();
    let mut of_leaders = Gaps::default();
    while gaps.count() == 0 || scene.left_until(0.8) > Duration::ZERO {
        for id in scene.trio.ids() {
            let (_, leader) = scene.trio.wait_leader_after(0)?;
            let asked = scene.book.now();
            scene.trio.member(id)?.interrupt()?;
            let ended_well = scene.trio.member_mut(id)?.wait_end(END_TIME)?;
            ensure!(ended_well, "member {id} did not end well");
            scene.trio.member_mut(id)?.start()?;
            scene.trio.wait_served(id)?;
            scene.book.wait_more(WRITES_BETWEEN)?;
            gaps.add(scene, asked);
            if leader == id {
                of_leaders.add(scene, asked);
            }
        }
    }
    let detail = format!("all members in turn; {gaps}; those that led: {of_leaders}");
    Ok(Seen { count: format!("{} restarts", gaps.count()), detail })
}
