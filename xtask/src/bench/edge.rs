//! The area `edge`: servers of the client edge, one fresh process a run, loaded over many connections.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Area;
use super::bars::{Bar, Bound, bar};
use super::fleet::{Fleet, must_succeed, output_of};
use super::results::Reading;
use super::sides::Side;
use super::trials::{Figure, LOST, Metric, P50, P99, RATE, Trial, figures, words};

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TCP.
    Tcp,
    /// WebSocket.
    Ws,
}

impl Transport {
    /// The name in arguments and figures.
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ws => "ws",
        }
    }
}

const COST: Metric = ("server_cpu_us_per_op", "us");

/// The memory that churn may leave behind for each closed connection, while the heap finds its size in the first rounds.
/// Whatever belongs to a session is twenty times as large.
const CHURN_BYTES_MAX: f64 = 16.0;

/// Servers of the client edge: idle memory, echo, broadcast, churn.
#[derive(Debug)]
pub(crate) struct Edge;

impl Area for Edge {
    type Setting = Transport;
    const NAME: &str = "edge";
    const PEERS: &[Side] = &[Side::Nano, Side::NodeWs, Side::Bare];
    const BARS: &[Bar] = &[
        bar(("edge/idle/ws/", ""), "bytes_per_conn", Bound::Ratio(Side::Nano, 0.03)),
        bar(("edge/echo/", "/64"), COST.0, Bound::Ratio(Side::Nano, 0.55)),
        bar(("edge/echo/", "/1000"), COST.0, Bound::Ratio(Side::Nano, 0.55)),
        bar(("edge/echo/", "/depth16"), COST.0, Bound::Ratio(Side::Nano, 0.2)),
        bar(("edge/broadcast/", ""), COST.0, Bound::Ratio(Side::Nano, 0.5)),
        bar(("edge/broadcast/", ""), "lost", Bound::Ours(0.0)),
        bar(("edge/echo/", ""), "lost", Bound::Ours(0.0)),
        bar(("edge/churn/", ""), "bytes_per_conn", Bound::Ours(CHURN_BYTES_MAX)),
        bar(("edge/echo/", "/64"), COST.0, Bound::Ratio(Side::Bare, 1.3)),
        bar(("edge/echo/", "/1000"), COST.0, Bound::Ratio(Side::Bare, 1.3)),
        bar(("edge/echo/", "/depth16"), COST.0, Bound::Ratio(Side::Bare, 1.3)),
    ];

    fn trials(is_quick: bool) -> Vec<Trial<Transport>> {
        edge(is_quick)
    }

    fn prepare(fleet: &Fleet, side: Side) -> Result<()> {
        match side {
            Side::Nano => fleet.build_go("nano"),
            Side::NodeWs => {
                let mut npm = Command::new("npm");
                npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
                must_succeed(npm.current_dir(fleet.peer_dir("node-ws")))
            }
            Side::Bare => fleet.must_have("bare"),
            _ => fleet.must_have("server"),
        }
    }

    fn measure_once(fleet: &Fleet, trial: &Trial<Transport>, side: Side) -> Result<Reading> {
        let running = fleet.start(server(fleet, side, trial.setting), side.name())?;
        let mut load = fleet.command(&fleet.binary("load"));
        load.args(["--target", &running.addr.to_string(), "--pid", &running.pid().to_string()]);
        load.args(["--transport", trial.setting.name(), "--limit-s", &trial.limit.as_secs().to_string()]);
        // These echo packets as they are, without the protocol.
        if matches!(side, Side::NodeWs | Side::Bare) {
            load.arg("--raw");
        }
        load.args(&trial.load);
        let line = output_of(load, trial.limit)?;
        serde_json::from_str(&line).with_context(|| format!("the load printed {line:?}"))
    }
}

fn server(fleet: &Fleet, side: Side, transport: Transport) -> Command {
    let mut command = match side {
        Side::Bare => fleet.command(&fleet.binary("bare")),
        Side::Nano => fleet.command(&fleet.go_binary("nano")),
        Side::NodeWs => {
            let mut node = fleet.command(Path::new("node"));
            node.arg(fleet.peer_dir("node-ws").join("server.mjs"));
            node
        }
        _ => fleet.command(&fleet.binary("server")),
    };
    if matches!(side, Side::Bare | Side::Nano) {
        command.args(["--transport", transport.name()]);
    }
    command
}

/// Everything of the area `edge`.
fn edge(is_quick: bool) -> Vec<Trial<Transport>> {
    let mut trials = Vec::new();
    for transport in [Transport::Ws, Transport::Tcp] {
        for connections in [1_000, 10_000] {
            trials.push(idle(transport, connections, is_quick));
        }
    }
    for transport in [Transport::Ws, Transport::Tcp] {
        for (connections, depth) in [(1, 1), (64, 1), (1_000, 1), (64, 16)] {
            trials.push(echo(transport, connections, depth, is_quick));
        }
    }
    for members in [1_000, 10_000] {
        for burst in [1, 64] {
            trials.push(broadcast(members, burst, is_quick));
        }
    }
    for transport in [Transport::Ws, Transport::Tcp] {
        trials.push(churn(transport, is_quick));
    }
    trials
}

fn idle(transport: Transport, connections: u32, is_quick: bool) -> Trial<Transport> {
    let name = format!("edge/idle/{}/{connections}", transport.name());
    let settle_ms = if is_quick { 300 } else { 1000 };
    let figure = |state: &str, field| Figure {
        name: format!("{name}/{state}"),
        metric: "bytes_per_conn",
        field,
        unit: "B",
    };
    let open =
        |state: &str| Figure { metric: "connections", unit: "connections", ..figure(state, "connections") };
    Trial {
        setting: transport,
        sides: sides_with_bare(transport),
        load: words(&format!("idle --connections {connections} --settle-ms {settle_ms}")),
        figures: vec![
            figure("fresh", "bytes_per_conn_fresh"),
            open("fresh"),
            figure("after16k", "bytes_per_conn_after16k"),
            open("after16k"),
        ],
        name,
        runs: 3,
        limit: Duration::from_secs(60),
    }
}

fn echo(transport: Transport, connections: u32, depth: u32, is_quick: bool) -> Trial<Transport> {
    let batch = if depth == 1 { String::new() } else { format!("/depth{depth}") };
    let name = format!("edge/echo/{}/{connections}{batch}", transport.name());
    let (duration, warm_up) = if is_quick { (700, 300) } else { (2000, 500) };
    let plan = format!("--duration-ms {duration} --warm-up-ms {warm_up}");
    Trial {
        setting: transport,
        sides: sides_with_bare(transport),
        load: words(&format!("echo --connections {connections} --depth {depth} {plan}")),
        figures: figures(&name, &[COST, RATE, P50, P99, LOST]),
        name,
        runs: 5,
        limit: Duration::from_secs(30),
    }
}

fn broadcast(members: u32, burst: u32, is_quick: bool) -> Trial<Transport> {
    let form = if burst == 1 { "single".to_owned() } else { format!("burst{burst}") };
    let name = format!("edge/broadcast/ws/{members}/{form}");
    let rounds = match (members, burst, is_quick) {
        (1_000, 1, false) => 100,
        (1_000, 1, true) => 30,
        (1_000, _, false) => 5,
        (_, 1, false) => 20,
        (1_000, _, true) | (_, 1, true) => 3,
        _ => 1,
    };
    let silence_ms = if is_quick { 500 } else { 1000 };
    let plan = format!("--rounds {rounds} --silence-ms {silence_ms}");
    Trial {
        setting: Transport::Ws,
        sides: vec![Side::Ours, Side::Nano, Side::NodeWs],
        load: words(&format!("broadcast --members {members} --burst {burst} {plan}")),
        figures: figures(&name, &[COST, RATE, P50, LOST]),
        name,
        runs: 3,
        limit: Duration::from_secs(90),
    }
}

fn churn(transport: Transport, is_quick: bool) -> Trial<Transport> {
    let name = format!("edge/churn/{}", transport.name());
    let (connections, rounds) = if is_quick { (5_000, 3) } else { (10_000, 10) };
    let mut figures = figures(&name, &[COST, RATE]);
    figures.push(Figure {
        name: name.clone(),
        metric: "bytes_per_conn",
        field: "bytes_per_closed",
        unit: "B",
    });
    Trial {
        setting: transport,
        sides: sides_with_bare(transport),
        load: words(&format!("churn --connections {connections} --rounds {rounds}")),
        figures,
        name,
        runs: 3,
        limit: Duration::from_secs(120),
    }
}

/// Node's ws speaks WebSocket only.
fn sides_with_bare(transport: Transport) -> Vec<Side> {
    match transport {
        Transport::Ws => vec![Side::Ours, Side::Nano, Side::NodeWs, Side::Bare],
        Transport::Tcp => vec![Side::Ours, Side::Nano, Side::Bare],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_name_is_measured() {
        let names: Vec<String> =
            edge(false).into_iter().flat_map(|trial| trial.figures).map(|f| f.name).collect();
        for name in [
            "edge/idle/ws/1000/fresh",
            "edge/idle/tcp/10000/after16k",
            "edge/echo/ws/1",
            "edge/echo/tcp/1000",
            "edge/echo/ws/64/depth16",
            "edge/broadcast/ws/1000/single",
            "edge/broadcast/ws/10000/burst64",
            "edge/churn/tcp",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn quick_measures_the_same_names() {
        let names = |is_quick| edge(is_quick).into_iter().map(|trial| trial.name).collect::<Vec<_>>();
        assert_eq!(names(true), names(false));
    }
}
