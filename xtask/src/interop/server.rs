//! The server under test: the example of ours, or one that runs already.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process::Group;

/// How long the server may take until it listens everywhere.
const START_TIME: Duration = Duration::from_secs(10);

/// The servers that every client meets: without and with a route dictionary.
pub(crate) const NAMES: [&str; 2] = ["plain", "dict"];

/// A server and its addresses by name. Ours ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    addrs: BTreeMap<String, SocketAddr>,
    _group: Option<Group>,
}

impl Server {
    /// Starts the example and waits until it has said `listening ADDR NAME` for each name.
    ///
    /// # Errors
    ///
    /// When it ends or stays silent instead.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        // The server ends with its standard input, so that it cannot outlive this process in any case.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group = Group::spawn(command)?;
        let stdout = group.child.stdout.take().context("the server has no output")?;
        let (lines, printed) = mpsc::sync_channel(16);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let deadline = Instant::now() + START_TIME;
        let mut addrs = BTreeMap::new();
        while NAMES.iter().any(|name| !addrs.contains_key(*name)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = printed.recv_timeout(left).context("the server does not say where it listens")?;
            if let Some((name, addr)) = parse_listening(&line) {
                addrs.insert(name, addr);
            }
        }
        Ok(Self { addrs, _group: Some(group) })
    }

    /// Takes a server that runs already, from `NAME=ADDR` pairs.
    ///
    /// # Errors
    ///
    /// When a pair cannot be read.
    pub(crate) fn given(pairs: &[String]) -> Result<Self> {
        let pairs = pairs.iter().map(|pair| {
            let (name, addr) = pair.split_once('=').with_context(|| format!("`{pair}` is not NAME=ADDR"))?;
            let addr = addr.parse().with_context(|| format!("`{addr}` is not an address"))?;
            Ok((name.to_owned(), addr))
        });
        Ok(Self { addrs: pairs.collect::<Result<_>>()?, _group: None })
    }

    /// The address with this name.
    pub(crate) fn addr(&self, name: &str) -> Option<SocketAddr> {
        self.addrs.get(name).copied()
    }
}

/// Reads `listening ADDR NAME`.
fn parse_listening(line: &str) -> Option<(String, SocketAddr)> {
    let (addr, name) = line.strip_prefix("listening ")?.split_once(' ')?;
    Some((name.trim().to_owned(), addr.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Server, parse_listening};

    #[test]
    fn an_address_line_names_its_server() {
        let addr = "127.0.0.1:4000".parse().unwrap();
        assert_eq!(parse_listening("listening 127.0.0.1:4000 dict"), Some(("dict".to_owned(), addr)));
        assert_eq!(parse_listening("listening 127.0.0.1:4000"), None);
        assert_eq!(parse_listening("warning: listening 127.0.0.1:4000 dict"), None);
    }

    #[test]
    fn a_given_server_must_be_a_pair() {
        let server = Server::given(&["plain=[::1]:1".to_owned()]).unwrap();
        assert_eq!(server.addr("plain"), "[::1]:1".parse().ok());
        assert_eq!(server.addr("dict"), None);
        assert!(Server::given(&["plain".to_owned()]).is_err());
        assert!(Server::given(&["plain=here".to_owned()]).is_err());
    }
}
