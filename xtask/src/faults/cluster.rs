//! `cargo xtask faults cluster`: three voters, two gates, two backends and a crowd of clients, and what happens to nodes and links.
//!
//! Nodes and clients are the program `dunlin-probe`. Each client numbers its requests, and each backend says which number of the
//! session it had before, so that the clients can tell what was lost, doubled, overtaken or brought to the wrong one. In the end they
//! go, and no node may know a session any more.
//!
//! - `cluster/lives.rs`: the cases. Start here.
//! - `cluster/nodes.rs`, `cluster/crowd.rs`: the nodes and the clients as processes.
//! - `cluster/verdict.rs`: what must hold in the end.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::table::{Cell, Outcome, Row};

mod crowd;
mod lives;
mod nodes;
mod verdict;

use crowd::Crowd;
use nodes::{Nodes, Role};

/// Where everything happens, and with what.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) dir: PathBuf,
    pub(super) probe: PathBuf,
    pub(super) ground: Ground,
    pub(super) clients: usize,
    pub(super) length: Duration,
}

/// Something that happens.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Whether nodes need networks of their own.
    is_apart: bool,
    /// Whether requests may be refused that were with a node that was lost.
    may_refuse: bool,
    play: fn(&mut Scene) -> Result<()>,
}

/// A case while it is played.
struct Scene {
    nodes: Nodes,
    crowd: Crowd,
    begin: Instant,
    length: Duration,
    /// How long it took others to see what happened to a node, in words.
    detected: Vec<String>,
}

const fn case(name: &'static str, what: &'static str, play: fn(&mut Scene) -> Result<()>) -> Case {
    Case { name, what, is_apart: false, may_refuse: false, play }
}

const fn losing(case: Case) -> Case {
    Case { may_refuse: true, ..case }
}

pub(super) const CASES: [Case; 10] = [
    case("kill-leader", "kill -9 of the voter that leads", |scene| lives::kill_voters(scene, true)),
    case("kill-follower", "kill -9 of each other voter", |scene| lives::kill_voters(scene, false)),
    losing(case("kill-gate", "kill -9 of each gate", |scene| lives::kill(scene, Role::Gate))),
    losing(case("kill-backend", "kill -9 of each backend", |scene| lives::kill(scene, Role::Backend))),
    case("freeze-leader", "SIGSTOP of the voter that leads", |scene| lives::freeze_voter(scene, true)),
    case("freeze-follower", "SIGSTOP of another voter", |scene| lives::freeze_voter(scene, false)),
    losing(case("freeze-gate", "SIGSTOP of a gate", |scene| lives::freeze(scene, Role::Gate))),
    losing(case("freeze-backend", "SIGSTOP of a backend", |scene| lives::freeze(scene, Role::Backend))),
    Case { is_apart: true, ..losing(case("one-way", "packets lost one way", lives::one_way)) },
    case("rolling", "SIGTERM of all in turn", lives::rolling),
];

/// Plays a case and judges it.
///
/// # Errors
///
/// When there is no place for it.
pub(super) fn row(case: &Case, setting: &Setting) -> Result<Row> {
    let dir = setting.dir.join(case.name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let ground = case.is_apart.then_some(&setting.ground);
    let nodes = match Nodes::new(&setting.probe, &dir, ground)? {
        Ok(nodes) => nodes,
        Err(why) => return Ok(Row::missing(case.name, case.what, &why)),
    };
    let cells = live(case, setting, nodes).unwrap_or_else(|error| {
        let why = format!("{error:#}; what the nodes said: {}", dir.display());
        vec![Cell { claim: "faults".to_owned(), outcome: Outcome::Failed(why) }]
    });
    Ok(Row { client: case.name.to_owned(), server: case.what.to_owned(), cells, missing: None })
}

fn live(case: &Case, setting: &Setting, mut nodes: Nodes) -> Result<Vec<Cell>> {
    nodes.start_all()?;
    let crowd = Crowd::start(&setting.probe, &nodes, setting.clients)?;
    let mut scene =
        Scene { nodes, crowd, begin: Instant::now(), length: setting.length, detected: Vec::new() };
    scene.sleep_until(0.1);
    (case.play)(&mut scene)?;
    scene.sleep_until(1.0);
    let Scene { nodes, crowd, detected, .. } = scene;
    let seen = crowd.end()?;
    ensure!(seen.count("answered") > 0, "nothing was answered");
    Ok(verdict::judge(&nodes, &seen, &detected, case.may_refuse))
}

impl Scene {
    /// Sleeps until so much of the case is over.
    fn sleep_until(&self, share: f64) {
        thread::sleep(self.length.mul_f64(share).saturating_sub(self.begin.elapsed()));
    }
}
