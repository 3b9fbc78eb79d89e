//! The area `cluster`: a gate and the backends behind it, each a process of its own, of ours and of nano; the load is at the gate.
//!
//! Echo and broadcast have one backend, which is ours' only voter and nano's master. For the end of a backend there are two: ours are voters
//! together with the gate, so that any of the three may go; nano's master is the gate.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Area;
use super::bars::{Bar, Bound, bar};
use super::fleet::{Fleet, Running, output_of};
use super::results::Reading;
use super::sides::Side;
use super::trials::{Figure, LOST, Metric, P50, P99, RATE, Trial, figures, words};
use crate::addrs;

/// Of gate and backend together.
const COST: Metric = ("server_cpu_us_per_op", "us");
const GATE_COST: Metric = ("gate_cpu_us_per_op", "us");
const BACKEND_COST: Metric = ("backend_cpu_us_per_op", "us");

/// A gate and backends.
#[derive(Debug)]
pub(crate) struct Cluster;

impl Area for Cluster {
    /// How many backends.
    type Setting = usize;
    const NAME: &str = "cluster";
    const PEERS: &[Side] = &[Side::Nano];
    const BARS: &[Bar] = &[
        bar(("cluster/echo/", "/64"), COST.0, Bound::Ratio(Side::Nano, 0.12)),
        bar(("cluster/echo/", "/64"), RATE.0, Bound::RatioAtLeast(Side::Nano, 10.0)),
        bar(("cluster/broadcast/", ""), COST.0, Bound::Ratio(Side::Nano, 0.1)),
        bar(("cluster/echo/", "/1"), P50.0, Bound::Ratio(Side::Nano, 0.6)),
        bar(("cluster/", ""), LOST.0, Bound::Ours(0.0)),
    ];

    fn trials(is_quick: bool) -> Vec<Trial<usize>> {
        let mut trials = Vec::new();
        for (connections, depth) in [(1, 1), (64, 1), (1_000, 1), (64, 16)] {
            trials.push(echo(connections, depth, is_quick));
        }
        for members in [1_000, 10_000] {
            trials.push(broadcast(members, is_quick));
        }
        for fate in ["killed", "frozen"] {
            trials.push(detect(fate, is_quick));
        }
        trials
    }

    fn prepare(fleet: &Fleet, side: Side) -> Result<()> {
        if side == Side::Nano {
            return fleet.build_go("nano");
        }
        fleet.must_have("load")?;
        fleet.must_have("cluster-node")
    }

    fn measure_once(fleet: &Fleet, trial: &Trial<usize>, side: Side) -> Result<Reading> {
        let nodes = Nodes::start(fleet, side, trial.setting)?;
        let mut load = fleet.command(&fleet.binary("load"));
        load.args(["--target", &nodes.gate.addr.to_string(), "--forwards"]);
        for node in [&nodes.gate].into_iter().chain(&nodes.backends) {
            load.args(["--pid", &node.pid().to_string()]);
        }
        load.args(["--limit-s", &trial.limit.as_secs().to_string()]).args(&trial.load);
        let line = output_of(load, trial.limit)?;
        serde_json::from_str(&line).with_context(|| format!("the load printed {line:?}"))
    }
}

/// The processes of one run.
struct Nodes {
    gate: Running,
    backends: Vec<Running>,
}

impl Nodes {
    /// Starts all; the load waits until the gate forwards to each backend.
    fn start(fleet: &Fleet, side: Side, backend_count: usize) -> Result<Self> {
        let dir = fleet.fresh_dir("cluster-nodes")?;
        let [clients, gate, first, second] = addrs::free::<4>()?;
        let backends = [first, second].into_iter().take(backend_count).collect::<Vec<_>>();
        let voters = if backend_count > 1 { vec![gate, first, second] } else { vec![first] };
        let command = |node: SocketAddr, clients: Option<SocketAddr>| match side {
            Side::Nano => nano(fleet, node, clients, voters[0]),
            _ => {
                let mut command = ours(fleet, node, clients, &voters);
                command.arg("--dir").arg(dir.join(node.port().to_string()));
                command
            }
        };
        let start = |(place, node): (usize, &SocketAddr)| {
            let name = format!("{}-backend-{place}", side.name());
            fleet.start_without_waiting(command(*node, None), &name, *node)
        };
        let backends = backends.iter().enumerate().map(start).collect::<Result<Vec<_>>>()?;
        let gate = fleet.start_at(command(gate, Some(clients)), &format!("{}-gate", side.name()), clients)?;
        Ok(Self { gate, backends })
    }
}

fn ours(fleet: &Fleet, node: SocketAddr, clients: Option<SocketAddr>, voters: &[SocketAddr]) -> Command {
    let mut command = fleet.command(&fleet.binary("cluster-node"));
    command.args(["--role", if clients.is_some() { "gate" } else { "backend" }]);
    command.args(["--node", &node.to_string()]);
    if let Some(clients) = clients {
        command.args(["--clients", &clients.to_string()]);
    }
    let voters: Vec<String> = voters.iter().map(ToString::to_string).collect();
    command.args(["--voters", &voters.join(",")]);
    command
}

fn nano(fleet: &Fleet, node: SocketAddr, clients: Option<SocketAddr>, master: SocketAddr) -> Command {
    let mut command = fleet.command(&fleet.go_binary("nano"));
    command.args(["-service", &node.to_string()]);
    if let Some(clients) = clients {
        command.args(["-client", &clients.to_string()]);
    }
    if node != master {
        command.args(["-master", &master.to_string()]);
    }
    command
}

fn echo(connections: u32, depth: u32, is_quick: bool) -> Trial<usize> {
    let batch = if depth == 1 { String::new() } else { format!("/depth{depth}") };
    let (duration, warm_up) = if is_quick { (700, 300) } else { (3000, 1000) };
    let plan = format!("--duration-ms {duration} --warm-up-ms {warm_up}");
    Trial {
        runs: 5,
        ..trial(
            &format!("echo/{connections}{batch}"),
            &format!("echo --connections {connections} --depth {depth} {plan}"),
            &[COST, GATE_COST, BACKEND_COST, RATE, P50, P99, LOST],
        )
    }
}

fn broadcast(members: u32, is_quick: bool) -> Trial<usize> {
    let rounds = match (members, is_quick) {
        (1_000, false) => 50,
        (1_000, true) => 10,
        (_, false) => 10,
        (_, true) => 2,
    };
    let silence_ms = if is_quick { 500 } else { 1000 };
    trial(
        &format!("broadcast/{members}"),
        &format!("broadcast --members {members} --rounds {rounds} --silence-ms {silence_ms}"),
        &[COST, GATE_COST, BACKEND_COST, RATE, P50, LOST],
    )
}

fn detect(fate: &str, is_quick: bool) -> Trial<usize> {
    // A peer that never finds the other backend takes as long as it is given.
    let give_up_ms = if is_quick { 5_000 } else { 30_000 };
    let mut trial = trial(
        &format!("detect/{fate}"),
        &format!("detect --fate {fate} --give-up-ms {give_up_ms}"),
        &[("detect_ms", "ms"), LOST],
    );
    let figure = |metric, field| Figure { name: trial.name.clone(), metric, field, unit: "requests" };
    let asked = [figure("requests", "ops"), figure("refused", "refused")];
    trial.figures.extend(asked);
    trial.setting = 2;
    trial
}

fn trial(name: &str, load: &str, metrics: &[Metric]) -> Trial<usize> {
    let name = format!("cluster/{name}");
    Trial {
        setting: 1,
        sides: vec![Side::Ours, Side::Nano],
        load: words(load),
        figures: figures(&name, metrics),
        name,
        runs: 3,
        limit: Duration::from_secs(90),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_name_is_measured() {
        for is_quick in [false, true] {
            let names: Vec<String> = Cluster::trials(is_quick).into_iter().map(|trial| trial.name).collect();
            let promised = [
                "echo/1",
                "echo/64",
                "echo/1000",
                "echo/64/depth16",
                "broadcast/1000",
                "broadcast/10000",
                "detect/killed",
                "detect/frozen",
            ];
            assert_eq!(names, promised.map(|name| format!("cluster/{name}")));
        }
    }
}
