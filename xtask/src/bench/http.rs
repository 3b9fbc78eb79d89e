//! The area `http`: clients beside each other, each a process of its own, against nginx and a small server that counts.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Area;
use super::bars::{Bar, Bound, bar};
use super::fleet::{Fleet, Running, must_succeed, output_of};
use super::nginx;
use super::results::Reading;
use super::sides::Side;
use super::trials::{LOST, Metric, P50, P99, RATE, Trial, figures, words};

/// What is spoken, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) protocol: Protocol,
    server: Server,
}

/// The protocols, each with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1 in plain text.
    H1,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    H2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Nginx,
    /// The bench's own, which answers after a moment and counts its connections.
    Wave,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::Tls => "tls",
            Self::H2 => "h2",
        }
    }

    /// The name in arguments of the load and the server.
    fn argument(self) -> &'static str {
        match self {
            Self::H1 | Self::Tls => "h1",
            Self::H2 => "h2",
        }
    }

    pub(crate) fn is_secure(self) -> bool {
        self != Self::H1
    }
}

/// The certificate that all servers show and all clients trust.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    fn of(fleet: &Fleet) -> Self {
        Self { cert: fleet.bench_file("http-cert.pem"), key: fleet.bench_file("http-key.pem") }
    }
}

/// Connections that a client may have in a wave.
const WAVE_CONNS: u32 = 16;

const COST: Metric = ("client_cpu_us_per_op", "us");
const CONNECTIONS: Metric = ("connections", "connections");
const TOTAL: Metric = ("total_ms", "ms");

/// HTTP clients.
#[derive(Debug)]
pub(crate) struct Http;

impl Area for Http {
    type Setting = Setting;
    const NAME: &str = "http";
    const PEERS: &[Side] = &[Side::Hyper, Side::HyperUtil, Side::Reqwest, Side::Go];
    const BARS: &[Bar] = &[
        bar(("http/h1/wave", ""), CONNECTIONS.0, Bound::Exactly(WAVE_CONNS as f64)),
        bar(("http/tls/wave", ""), CONNECTIONS.0, Bound::Exactly(WAVE_CONNS as f64)),
        bar(("http/h1/", "/16"), COST.0, Bound::Ratio(Side::Hyper, 1.15)),
        bar(("http/h1/", "/128"), COST.0, Bound::Ratio(Side::Hyper, 1.15)),
        bar(("http/h1/", "/16"), COST.0, Bound::Ratio(Side::Go, 0.55)),
        bar(("http/h1/", "/128"), COST.0, Bound::Ratio(Side::Go, 0.55)),
        bar(("http/", ""), "lost", Bound::Ours(0.0)),
    ];

    fn trials(is_quick: bool) -> Vec<Trial<Setting>> {
        let mut trials = Vec::new();
        for protocol in [Protocol::H1, Protocol::Tls, Protocol::H2] {
            for tasks in [1, 16, 128] {
                trials.push(steady(protocol, tasks, is_quick));
            }
            trials.push(wave(protocol));
        }
        trials
    }

    fn prepare(fleet: &Fleet, side: Side) -> Result<()> {
        if side == Side::Go {
            return fleet.build_go("go-http");
        }
        fleet.must_have("http-load")
    }

    fn drop_impossible(fleet: &mut Fleet, trials: &mut Vec<Trial<Setting>>) {
        let Certificate { cert, key } = Certificate::of(fleet);
        let mut make = Command::new(fleet.binary("http-server"));
        make.arg("certificate").arg("--cert").arg(cert).arg("--key").arg(key);
        if let Err(error) = must_succeed(&mut make) {
            fleet.missing.push(("TLS", format!("{error:#}")));
            trials.retain(|trial| !trial.setting.protocol.is_secure());
        }
        if trials.iter().all(|trial| trial.setting.server != Server::Nginx) {
            return;
        }
        if let Err(error) = nginx::install() {
            fleet.missing.push(("everything against nginx", format!("{error:#}")));
            trials.retain(|trial| trial.setting.server != Server::Nginx);
        }
    }

    fn measure_once(fleet: &Fleet, trial: &Trial<Setting>, side: Side) -> Result<Reading> {
        let protocol = trial.setting.protocol;
        let certificate = Certificate::of(fleet);
        let running = match trial.setting.server {
            Server::Nginx => nginx::start(fleet, protocol, &certificate)?,
            Server::Wave => start_wave(fleet, protocol, &certificate)?,
        };
        let mut load = client(fleet, side);
        let scheme = if protocol.is_secure() { "https" } else { "http" };
        load.args(["--target", &format!("{scheme}://{}/", running.addr)]);
        load.arg("--ca").arg(&certificate.cert).args(["--protocol", protocol.argument()]);
        load.args(["--limit-s", &trial.limit.as_secs().to_string()]).args(&trial.load);
        let line = output_of(load, trial.limit)?;
        serde_json::from_str(&line).with_context(|| format!("the load printed {line:?}"))
    }
}

fn client(fleet: &Fleet, side: Side) -> Command {
    if side == Side::Go {
        return fleet.command(&fleet.go_binary("go-http"));
    }
    let mut load = fleet.command(&fleet.binary("http-load"));
    load.args(["--client", if side == Side::Ours { "dunlin" } else { side.name() }]);
    load
}

fn start_wave(fleet: &Fleet, protocol: Protocol, certificate: &Certificate) -> Result<Running> {
    let mut server = fleet.command(&fleet.binary("http-server"));
    server.args(["serve", "--protocol", protocol.argument()]);
    if protocol.is_secure() {
        server.arg("--cert").arg(&certificate.cert).arg("--key").arg(&certificate.key);
    }
    fleet.start(server, "http-server")
}

fn steady(protocol: Protocol, tasks: u32, is_quick: bool) -> Trial<Setting> {
    let name = format!("http/{}/{tasks}", protocol.name());
    let (duration, warm_up) = if is_quick { (700, 300) } else { (2000, 500) };
    Trial {
        setting: Setting { protocol, server: Server::Nginx },
        sides: [Side::Ours].iter().chain(Http::PEERS).copied().collect(),
        load: words(&format!("steady --tasks {tasks} --duration-ms {duration} --warm-up-ms {warm_up}")),
        figures: figures(&name, &[COST, RATE, P50, P99, LOST]),
        name,
        runs: 5,
        limit: Duration::from_secs(20),
    }
}

/// hyper alone has no pool, so it is not in here.
fn wave(protocol: Protocol) -> Trial<Setting> {
    let name = format!("http/{}/wave", protocol.name());
    Trial {
        setting: Setting { protocol, server: Server::Wave },
        sides: vec![Side::Ours, Side::HyperUtil, Side::Reqwest, Side::Go],
        load: words(&format!("--conns-max {WAVE_CONNS} wave --requests 2000")),
        figures: figures(&name, &[CONNECTIONS, TOTAL, COST, LOST]),
        name,
        runs: 5,
        limit: Duration::from_secs(20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_name_is_measured() {
        let names: Vec<String> = Http::trials(false).into_iter().map(|trial| trial.name).collect();
        for name in ["http/h1/1", "http/h1/16", "http/h1/wave", "http/tls/128", "http/h2/16", "http/h2/wave"]
        {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        assert_eq!(names.len(), 12);
    }
}
