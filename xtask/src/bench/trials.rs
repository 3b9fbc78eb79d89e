//! What is measured at the client edge: one trial is one run of the load, which may give several figures.

use std::time::Duration;

use super::servers::{Server, Transport};

/// A figure: a name, a metric, and the field of the load's report that holds it.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// For example `edge/echo/ws/64`.
    pub(crate) name: String,
    /// For example `server_cpu_us_per_op`.
    pub(crate) metric: &'static str,
    /// The field of the report.
    pub(crate) field: &'static str,
    /// The unit of the figure.
    pub(crate) unit: &'static str,
}

/// One kind of run.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// The name without the parts that one run has several of.
    pub(crate) name: String,
    /// What carries the packets.
    pub(crate) transport: Transport,
    /// The servers it makes sense for.
    pub(crate) servers: Vec<Server>,
    /// Arguments of the load.
    pub(crate) load: Vec<String>,
    /// What one run yields.
    pub(crate) figures: Vec<Figure>,
    /// Runs by default.
    pub(crate) runs: usize,
    /// Time after which a run is given up.
    pub(crate) limit: Duration,
}

const COST: (&str, &str) = ("server_cpu_us_per_op", "us");
const RATE: (&str, &str) = ("rate", "1/s");
const P50: (&str, &str) = ("p50_us", "us");
const P99: (&str, &str) = ("p99_us", "us");
const LOST: (&str, &str) = ("lost", "messages");

/// Everything of the area `edge`.
pub(crate) fn edge(is_quick: bool) -> Vec<Trial> {
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

fn idle(transport: Transport, connections: u32, is_quick: bool) -> Trial {
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
        transport,
        servers: servers_with_bare(transport),
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

fn echo(transport: Transport, connections: u32, depth: u32, is_quick: bool) -> Trial {
    let batch = if depth == 1 { String::new() } else { format!("/depth{depth}") };
    let name = format!("edge/echo/{}/{connections}{batch}", transport.name());
    let (duration, warm_up) = if is_quick { (700, 300) } else { (2000, 500) };
    let plan = format!("--duration-ms {duration} --warm-up-ms {warm_up}");
    Trial {
        transport,
        servers: servers_with_bare(transport),
        load: words(&format!("echo --connections {connections} --depth {depth} {plan}")),
        figures: figures(&name, &[COST, RATE, P50, P99, LOST]),
        name,
        runs: 5,
        limit: Duration::from_secs(30),
    }
}

fn broadcast(members: u32, burst: u32, is_quick: bool) -> Trial {
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
        transport: Transport::Ws,
        servers: vec![Server::Ours, Server::Nano, Server::NodeWs],
        load: words(&format!("broadcast --members {members} --burst {burst} {plan}")),
        figures: figures(&name, &[COST, RATE, P50, LOST]),
        name,
        runs: 3,
        limit: Duration::from_secs(90),
    }
}

fn churn(transport: Transport, is_quick: bool) -> Trial {
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
        transport,
        servers: servers_with_bare(transport),
        load: words(&format!("churn --connections {connections} --rounds {rounds}")),
        figures,
        name,
        runs: 3,
        limit: Duration::from_secs(120),
    }
}

/// Node's ws speaks WebSocket only.
fn servers_with_bare(transport: Transport) -> Vec<Server> {
    match transport {
        Transport::Ws => vec![Server::Ours, Server::Nano, Server::NodeWs, Server::Bare],
        Transport::Tcp => vec![Server::Ours, Server::Nano, Server::Bare],
    }
}

fn figures(name: &str, metrics: &[(&'static str, &'static str)]) -> Vec<Figure> {
    let figure = |&(metric, unit)| Figure { name: name.to_owned(), metric, field: metric, unit };
    metrics.iter().map(figure).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
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
