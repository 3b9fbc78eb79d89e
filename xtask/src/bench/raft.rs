//! The area `rafthttp`: a member that sends and one that counts, each a process of its own, ours beside etcd's package.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Area;
use super::bars::{Bar, Bound, bar};
use super::fleet::{Fleet, output_of};
use super::results::Reading;
use super::sides::Side;
use super::trials::{LOST, Metric, P50, P99, RATE, Trial, figures, words};
use crate::addrs;

const COST: Metric = ("cpu_us_per_op", "us");
const SENDER_COST: Metric = ("client_cpu_us_per_op", "us");
const RECEIVER_COST: Metric = ("server_cpu_us_per_op", "us");
const THROUGHPUT: Metric = ("mb_per_s", "MB/s");
const PEAK: Metric = ("peak_bytes", "bytes");
const TOTAL: Metric = ("total_ms", "ms");

/// Appends each second beside heartbeats: half of what the slower side can, so that both have the same to do.
const RATE_BESIDE_HEARTBEATS: u64 = 2000;

/// The members of a Raft group.
#[derive(Debug)]
pub(crate) struct Raft;

impl Area for Raft {
    type Setting = ();
    const NAME: &str = "rafthttp";
    const PEERS: &[Side] = &[Side::Go];
    const BARS: &[Bar] = &[
        bar(("rafthttp/app-", ""), RATE.0, Bound::RatioAtLeast(Side::Go, 1.5)),
        bar(("rafthttp/app-", ""), COST.0, Bound::Ratio(Side::Go, 0.6)),
        bar(("rafthttp/snapshot-256m", ""), PEAK.0, Bound::Ours(33_554_432.0)),
        bar(("rafthttp/", ""), LOST.0, Bound::Ours(0.0)),
    ];

    fn trials(is_quick: bool) -> Vec<Trial<()>> {
        let (duration, warm_up) = if is_quick { (700, 300) } else { (3000, 1000) };
        let appends = [(1, 64), (64, 256), (1, 65536)].map(|(entries, entry_len)| {
            let load = format!(
                "appends --entries {entries} --entry-len {entry_len} --duration-ms {duration} --warm-up-ms {warm_up}"
            );
            let name = format!("rafthttp/app-{entries}x{entry_len}");
            trial(&name, &load, &[COST, SENDER_COST, RECEIVER_COST, RATE, THROUGHPUT, LOST])
        });
        let heartbeats = if is_quick { 100 } else { 1000 };
        let load = format!(
            "heartbeats --entries 64 --entry-len 256 --rate {RATE_BESIDE_HEARTBEATS} --heartbeats {heartbeats}"
        );
        let heartbeat = trial("rafthttp/heartbeat-under-load", &load, &[P50, P99, LOST]);
        let snapshot = trial("rafthttp/snapshot-256m", "snapshot", &[PEAK, TOTAL, COST]);
        appends.into_iter().chain([heartbeat, snapshot]).collect()
    }

    fn prepare(fleet: &Fleet, side: Side) -> Result<()> {
        if side == Side::Go {
            return fleet.build_go("go-rafthttp");
        }
        fleet.must_have("raft-load")
    }

    fn measure_once(fleet: &Fleet, trial: &Trial<()>, side: Side) -> Result<Reading> {
        let dir = fleet.fresh_dir("rafthttp-databases")?;
        // Each must know the other before it begins.
        let [sender_addr] = addrs::free()?;
        let mut receiver = member(fleet, side);
        receiver.args(["receive", "--peer", &format!("http://{sender_addr}"), "--dir"]).arg(&dir);
        let receiver = fleet.start(receiver, "raft-receiver")?;
        let mut sender = member(fleet, side);
        sender.args(["send", "--listen", &sender_addr.to_string()]);
        sender.args(["--target", &format!("http://{}", receiver.addr)]);
        sender.args(["--receiver-pid", &receiver.pid().to_string()]);
        sender.args(["--limit-s", &trial.limit.as_secs().to_string()]).args(&trial.load);
        let line = output_of(sender, trial.limit)?;
        serde_json::from_str(&line).with_context(|| format!("the sender printed {line:?}"))
    }
}

fn member(fleet: &Fleet, side: Side) -> Command {
    let program = if side == Side::Go { fleet.go_binary("go-rafthttp") } else { fleet.binary("raft-load") };
    fleet.command(&program)
}

fn trial(name: &str, load: &str, metrics: &[Metric]) -> Trial<()> {
    Trial {
        name: name.to_owned(),
        setting: (),
        sides: vec![Side::Ours, Side::Go],
        load: words(load),
        figures: figures(name, metrics),
        runs: 5,
        limit: Duration::from_secs(30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_name_is_measured() {
        let names: Vec<String> = Raft::trials(false).into_iter().map(|trial| trial.name).collect();
        let promised = ["app-1x64", "app-64x256", "app-1x65536", "heartbeat-under-load", "snapshot-256m"];
        assert_eq!(names, promised.map(|name| format!("rafthttp/{name}")));
    }
}
