//! The area `registry`: three members of the registry, and three of etcd, each a process of its own with its log on the disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Area;
use super::bars::{Bar, Bound, bar};
use super::fleet::{Fleet, Running, output_of};
use super::results::Reading;
use super::sides::Side;
use super::trials::{LOST, Metric, P50, P99, RATE, Trial, figures, words};
use crate::addrs;

const COST: Metric = ("server_cpu_us_per_op", "us");

const MEMBERS: usize = 3;

/// Key-value stores.
#[derive(Debug)]
pub(crate) struct Registry;

impl Area for Registry {
    type Setting = ();
    const NAME: &str = "registry";
    const PEERS: &[Side] = &[Side::Etcd];
    const BARS: &[Bar] = &[
        bar(("registry/put/64", ""), RATE.0, Bound::RatioAtLeast(Side::Etcd, 1.5)),
        bar(("registry/put/64", ""), P99.0, Bound::Ratio(Side::Etcd, 1.0)),
        bar(("registry/get-linearizable/", ""), RATE.0, Bound::RatioAtLeast(Side::Etcd, 2.0)),
        bar(("registry/", ""), LOST.0, Bound::Ours(0.0)),
    ];

    fn trials(is_quick: bool) -> Vec<Trial<()>> {
        let mut trials = Vec::new();
        for clients in [1, 16, 64, 256] {
            trials.push(requests(&format!("put/{clients}"), "put", clients, is_quick));
        }
        trials.push(requests("get-linearizable/64", "get", 64, is_quick));
        trials.push(requests("get-stale/64", "get-stale", 64, is_quick));
        let puts = if is_quick { 10 } else { 50 };
        trials.push(trial("watch/1000", &format!("watches --watchers 1000 --puts {puts}")));
        trials
    }

    fn prepare(fleet: &Fleet, side: Side) -> Result<()> {
        if side == Side::Etcd {
            return fleet.build_go_package("go-etcd", "go.etcd.io/etcd/server/v3");
        }
        fleet.must_have("registry-load")?;
        fleet.must_have("registry-member")
    }

    fn measure_once(fleet: &Fleet, trial: &Trial<()>, side: Side) -> Result<Reading> {
        let dir = fleet.fresh_dir("registry-members")?;
        let addrs = addrs::free::<{ 2 * MEMBERS }>()?;
        let (peers, clients) = addrs.split_at(MEMBERS);
        let mut members = Vec::new();
        for place in 0..MEMBERS {
            members.push(member(fleet, (side, place), (peers, clients), dir.join(place.to_string()))?);
        }
        let urls: Vec<String> = clients.iter().map(|addr| format!("http://{addr}")).collect();
        let pids: Vec<String> = members.iter().map(|member| member.pid().to_string()).collect();
        let mut load = fleet.command(&fleet.binary("registry-load"));
        load.args(["--side", if side == Side::Etcd { "etcd" } else { "dunlin" }]);
        load.args(["--members", &urls.join(","), "--pids", &pids.join(",")]);
        load.args(["--limit-s", &trial.limit.as_secs().to_string()]).args(&trial.load);
        let line = output_of(load, trial.limit)?;
        serde_json::from_str(&line).with_context(|| format!("the load printed {line:?}"))
    }
}

/// Starts one member; the load waits until the group answers.
fn member(
    fleet: &Fleet,
    (side, place): (Side, usize),
    (peers, clients): (&[SocketAddr], &[SocketAddr]),
    dir: PathBuf,
) -> Result<Running> {
    let (peer, client) = (peers[place], clients[place]);
    let url = |addr: SocketAddr| format!("http://{addr}");
    let name = |place: usize| format!("member-{place}");
    let mut command: Command;
    if side == Side::Etcd {
        let all: Vec<String> =
            peers.iter().enumerate().map(|(place, peer)| format!("{}={}", name(place), url(*peer))).collect();
        command = fleet.command(&fleet.go_binary("go-etcd"));
        command.args(["--name", &name(place), "--log-level", "error", "--data-dir"]).arg(dir);
        command.args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)]);
        command.args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)]);
        command.args(["--initial-cluster", &all.join(","), "--initial-cluster-state", "new"]);
    } else {
        let all: Vec<String> = peers.iter().map(ToString::to_string).collect();
        command = fleet.command(&fleet.binary("registry-member"));
        command.args(["--id", &(place + 1).to_string(), "--peers", &all.join(",")]);
        command.args(["--listen", &client.to_string(), "--dir"]).arg(dir);
    }
    fleet.start_without_waiting(command, &name(place), client)
}

fn requests(name: &str, kind: &str, clients: usize, is_quick: bool) -> Trial<()> {
    let (duration, warm_up) = if is_quick { (1000, 500) } else { (4000, 1500) };
    let load =
        format!("--duration-ms {duration} --warm-up-ms {warm_up} requests --kind {kind} --clients {clients}");
    trial(name, &load)
}

fn trial(name: &str, load: &str) -> Trial<()> {
    let name = format!("registry/{name}");
    Trial {
        setting: (),
        sides: vec![Side::Ours, Side::Etcd],
        load: words(load),
        figures: figures(&name, &[RATE, P50, P99, COST, LOST]),
        name,
        runs: 5,
        limit: Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_name_is_measured() {
        let names: Vec<String> = Registry::trials(false).into_iter().map(|trial| trial.name).collect();
        let promised =
            ["put/1", "put/16", "put/64", "put/256", "get-linearizable/64", "get-stale/64", "watch/1000"];
        assert_eq!(names, promised.map(|name| format!("registry/{name}")));
    }
}
