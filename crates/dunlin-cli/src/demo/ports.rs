//! Where the demo's three gates are served: one address each, on ports that are free.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use dunlin::OriginPolicy;
use socket2::{Domain, Protocol, Socket, Type};

use crate::cli::DEMO_ADDR;

/// How many ports are tried for each gate, beginning with the first one.
const PORTS_TRIED: u16 = 20;

/// Addresses of gates.
#[derive(Debug)]
pub(super) struct GateAddrs {
    pub(super) addrs: Vec<SocketAddr>,
    /// Keeps the ports while a gate is away.
    pub(super) kept: Vec<Socket>,
    /// The default address, if something else is served there.
    pub(super) taken: Option<SocketAddr>,
}

/// Finds an address for each of `count` gates: the first one as it was asked for, the others on the next ports that are free.
///
/// # Errors
///
/// When the address cannot be had, with what to do about it.
pub(super) fn find(asked: Option<SocketAddr>, count: usize) -> anyhow::Result<GateAddrs> {
    let begin = asked.unwrap_or(DEMO_ADDR);
    // Held until all are found, so that the kernel gives no port twice.
    let mut held = Vec::new();
    let mut next = begin;
    while held.len() < count {
        let may_go_on = asked.is_none() || !held.is_empty();
        match bind(next) {
            Ok(listener) => held.push(listener),
            Err(error) if may_go_on && error.kind() == ErrorKind::AddrInUse && is_near(begin, next) => {}
            Err(error) => return Err(advise(error, next)),
        }
        if begin.port() != 0 {
            let port = next.port().checked_add(1).context("there are no ports beyond this one")?;
            next.set_port(port);
        }
    }
    let addr = |socket: &Socket| {
        let bound = socket.local_addr()?.as_socket();
        bound.ok_or_else(|| io::Error::new(ErrorKind::AddrNotAvailable, "the socket has no address"))
    };
    let addrs = held.iter().map(addr).collect::<io::Result<Vec<_>>>()?;
    let is_taken = asked.is_none() && addrs.first() != Some(&begin);
    // Elsewhere than on Linux nobody could listen beside them.
    let kept = if cfg!(target_os = "linux") { held } else { Vec::new() };
    Ok(GateAddrs { addrs, kept, taken: is_taken.then_some(begin) })
}

/// Takes an address without listening there: a gate may, and the kernel gives the port to nobody else.
fn bind(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn is_near(begin: SocketAddr, addr: SocketAddr) -> bool {
    addr.port() - begin.port() < PORTS_TRIED
}

/// Adds to an error what to do about it.
fn advise(error: io::Error, addr: SocketAddr) -> anyhow::Error {
    let any = SocketAddr::new(addr.ip(), 0);
    let advice = match error.kind() {
        ErrorKind::AddrInUse => {
            format!("something else is served there: stop it, or take any free port with --addr {any}")
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address: --addr 0.0.0.0:3250 serves on all that it has".to_owned()
        }
        _ => format!("take any free port with --addr {any}"),
    };
    anyhow::Error::from(error).context(format!("cannot serve on {addr}\n  {advice}"))
}

/// Where an address can be reached from this machine.
pub(super) fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

/// Whose pages may connect: a page of any gate goes to another one when its own is gone. Other sites' pages may not, unless the demo is
/// served to other machines, by names that nobody here knows.
pub(super) fn origins(addrs: &[SocketAddr]) -> OriginPolicy {
    if addrs.iter().any(|addr| !addr.ip().is_loopback()) {
        return OriginPolicy::Any;
    }
    let of = |addr: &SocketAddr| [format!("http://{addr}"), format!("http://localhost:{}", addr.port())];
    OriginPolicy::List(addrs.iter().flat_map(of).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn port_zero_gives_three_different_ports() {
        let found = find(Some(any()), 3).unwrap();
        let mut ports: Vec<u16> = found.addrs.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 3);
        assert!(!ports.contains(&0));
    }

    #[test]
    fn a_gate_may_listen_where_its_port_is_kept_again_and_again() {
        let found = find(Some(any()), 1).unwrap();
        for _ in 0..2 {
            let gate = TcpListener::bind(found.addrs[0]).unwrap();
            assert!(std::net::TcpStream::connect(gate.local_addr().unwrap()).is_ok());
        }
        assert!(std::net::TcpStream::connect(found.addrs[0]).is_err(), "nobody listens");
    }

    #[test]
    fn a_port_that_was_asked_for_and_is_taken_is_refused_with_advice() {
        let held = TcpListener::bind(any()).unwrap();
        let error = find(Some(held.local_addr().unwrap()), 3).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("--addr 127.0.0.1:0"), "{text}");
        assert!(text.contains("in use"), "{text}");
    }

    #[test]
    fn a_page_of_one_gate_may_connect_to_another_and_a_foreign_page_may_not() {
        let addrs = ["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()];
        let policy = origins(&addrs);
        for origin in ["http://127.0.0.1:1", "http://localhost:1"] {
            assert!(policy.allows(Some(origin), Some("127.0.0.1:2")), "{origin}");
        }
        assert!(!policy.allows(Some("http://evil.example"), Some("127.0.0.1:2")));
        assert_eq!(origins(&["192.0.2.1:1".parse().unwrap()]), OriginPolicy::Any);
    }

    #[test]
    fn an_unspecified_address_is_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
        assert_eq!(reachable("192.0.2.1:80".parse().unwrap()), "192.0.2.1:80".parse().unwrap());
    }
}
