//! What a run does, from what was asked for; and what it refuses to do.
//!
//! A load generator is a weapon when it is aimed by mistake: other machines, and more clients than a test on one's own needs, want a
//! flag that says so.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;

use super::args::{BenchArgs, Kind};
use super::schedule::Schedule;

/// The most clients without the flag.
const CLIENTS_MAX: u32 = 10_000;

/// Requests of one client that may wait when the rate is given: enough for a server that pauses now and then.
const IN_FLIGHT_OPEN: u16 = 32;

/// What a run does.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) route: String,
    pub(super) body: Bytes,
    pub(super) clients: u32,
    pub(super) in_flight: usize,
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    /// `None` when each client sends as soon as it may.
    pub(super) schedule: Option<Schedule>,
}

impl Plan {
    /// The plan; the error says what to write instead.
    pub(super) fn new(args: &BenchArgs, body: Bytes) -> Result<Self, String> {
        let BenchArgs { kind, clients, rate, duration, warmup, .. } = *args;
        let route = match (kind, &args.route) {
            (Kind::Idle, Some(_)) => return Err("idle clients send nothing; leave --route out".to_owned()),
            (Kind::Idle, None) if rate.is_some() => {
                return Err("idle clients send nothing; leave --rate out".to_owned());
            }
            (Kind::Idle, None) => String::new(),
            (_, Some(route)) => route.clone(),
            (_, None) => return Err("--route is missing, such as --route Chat.join".to_owned()),
        };
        let in_flight = args.in_flight.unwrap_or(if rate.is_some() { IN_FLIGHT_OPEN } else { 1 });
        let schedule = rate.map(|rate| Schedule { rate, clients });
        Ok(Self { kind, route, body, clients, in_flight: in_flight.into(), warmup, duration, schedule })
    }

    /// Until when requests are sent, from the begin on.
    pub(super) fn end(&self) -> Duration {
        self.warmup.saturating_add(self.duration)
    }

    /// Whether what happens at this time, from the begin on, counts.
    pub(super) fn is_measured(&self, at: Duration) -> bool {
        self.warmup <= at && at < self.end()
    }
}

/// Refuses what needs the flag: the error says why.
pub(super) fn check_target(args: &BenchArgs) -> Result<(), String> {
    if args.own_target {
        return Ok(());
    }
    if args.clients > CLIENTS_MAX {
        return Err(format!(
            "more than {CLIENTS_MAX} clients are for a server of your own; say so with --own-target"
        ));
    }
    let addrs = addrs(&args.target.url)?;
    match addrs.iter().find(|addr| !addr.ip().to_canonical().is_loopback()) {
        None => Ok(()),
        Some(addr) => Err(format!(
            "{} is another machine; load is for servers of your own: say so with --own-target",
            addr.ip()
        )),
    }
}

/// The addresses that the host of a URL has.
fn addrs(url: &str) -> Result<Vec<SocketAddr>, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    let addr = match (has_port, scheme) {
        (true, _) => authority.to_owned(),
        (false, "wss") => format!("{authority}:443"),
        (false, _) => format!("{authority}:80"),
    };
    let found = addr
        .to_socket_addrs()
        .map_err(|error| format!("{url} names no host: {error}; write a URL such as ws://127.0.0.1:3250/"))?;
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(line: &str) -> BenchArgs {
        let line = ["dunlin", "bench"].into_iter().chain(line.split(' '));
        let Command::Bench(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("the bench was asked for")
        };
        args
    }

    fn refused(line: &str) -> String {
        check_target(&args(line)).unwrap_err()
    }

    #[test]
    fn other_machines_and_crowds_want_the_flag() {
        assert!(refused("ws://192.0.2.1:3250/").contains("--own-target"));
        assert!(refused("tcp://[2001:db8::1]:3250").contains("2001:db8::1 is another machine"));
        assert!(refused("wss://[::ffff:192.0.2.1]/").contains("another machine"));
        assert!(refused("ws://127.0.0.1:1/ --clients 10001").contains("--own-target"));
        for line in [
            "ws://192.0.2.1:3250/ --own-target --clients 20000",
            "ws://127.0.0.1:1/ --clients 10000",
            "tcp://127.9.9.9:1",
            "ws://[::1]/path?query",
            "wss://localhost",
        ] {
            check_target(&args(line)).unwrap();
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        assert!(refused("ws://").contains("write a URL"));
    }

    #[test]
    fn a_plan_needs_a_route_unless_it_is_idle() {
        let plan = |line: &str| Plan::new(&args(line), Bytes::new());
        assert!(plan("ws://a/").unwrap_err().contains("--route is missing"));
        assert!(plan("ws://a/ --kind idle --route A.b").unwrap_err().contains("leave --route out"));
        assert!(plan("ws://a/ --kind idle").is_ok());
        assert_eq!(plan("ws://a/ --route A.b").unwrap().in_flight, 1);
        assert_eq!(plan("ws://a/ --route A.b --rate 5").unwrap().in_flight, 32);
    }

    #[test]
    fn what_happens_in_the_warm_up_and_after_the_end_does_not_count() {
        let plan = Plan::new(&args("ws://a/ --route A.b --warmup 1s --duration 2s"), Bytes::new()).unwrap();
        let at = [0, 999, 1000, 2999, 3000].map(|ms| plan.is_measured(Duration::from_millis(ms)));
        assert_eq!(at, [false, false, true, true, false]);
    }
}
