//! A cluster under test: a node of ours, Go nodes, and where they are.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::client::Client;
use super::node::{Node, TIME};
use crate::addrs;

/// nano's interval, short: after four of them a node that is silent is gone.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);

/// How often what changes by itself is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How often the Go master is started.
const STARTS_MAX: usize = 5;

/// When it has not ended so long after it listens, it does not.
const SETTLE_TIME: Duration = Duration::from_millis(300);

/// How long an answer may take before it is asked for again.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Dunlin,
    Go,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) master: Side,
    pub(crate) dunlin: Node,
    /// Has the service `Game`.
    pub(crate) backend: Node,
    /// The same at another address.
    pub(crate) other_backend: Node,
    pub(crate) gate: Node,
    /// The master, if that is a Go node; it does nothing else.
    pub(crate) go_master: Node,
    client_addr: SocketAddr,
    go_master_addr: SocketAddr,
}

impl Lab {
    /// A cluster of which nobody runs yet.
    ///
    /// # Errors
    ///
    /// When there are no ports.
    pub(crate) fn new((go, dunlin): (PathBuf, PathBuf), dir: &Path, master: Side) -> Result<Self> {
        let [dunlin_addr, backend, other, gate, client, go_master] = addrs::free::<6>()?;
        let master_addr = if master == Side::Dunlin { dunlin_addr } else { go_master }.to_string();
        let heartbeat = HEARTBEAT.as_millis().to_string();
        let text = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<String>>();
        let (listen, data) = (dunlin_addr.to_string(), dir.join("data").display().to_string());
        let mut ours =
            text(&["--listen", &listen, "--dir", &data, "--service", "Room", "--heartbeat-ms", &heartbeat]);
        if master == Side::Go {
            ours.extend(text(&["--nano-master", &master_addr]));
        }
        let go_node = |name: &'static str, addr: SocketAddr, more: &[&str]| {
            let (addr, heartbeat) = (addr.to_string(), format!("{heartbeat}ms"));
            let mut args = text(&["-listen", &addr, "-label", name, "-heartbeat", &heartbeat]);
            args.extend(text(more));
            Node::new(name, go.clone(), args, dir.to_owned())
        };
        let client = client.to_string();
        Ok(Self {
            master,
            dunlin: Node::new("dunlin", dunlin, ours, dir.to_owned()),
            backend: go_node("backend", backend, &["-master", &master_addr, "-service", "Game"]),
            other_backend: go_node("other", other, &["-master", &master_addr, "-service", "Game"]),
            gate: go_node("gate", gate, &["-master", &master_addr, "-client", &client]),
            go_master: go_node("master", go_master, &[]),
            client_addr: client.parse()?,
            go_master_addr: go_master,
        })
    }

    /// Starts our node, and the Go master if there is one.
    ///
    /// # Errors
    ///
    /// When one does not start.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.master == Side::Go {
            self.start_go_master()?;
        }
        self.dunlin.start(true)
    }

    /// Starts the Go master. Some of its starts fail, as it serves before it knows what.
    ///
    /// # Errors
    ///
    /// When several starts fail.
    pub(crate) fn start_go_master(&mut self) -> Result<()> {
        for _ in 0..STARTS_MAX {
            self.go_master.start(false)?;
            let deadline = Instant::now() + TIME;
            while self.go_master.is_running()? && Instant::now() < deadline {
                if TcpStream::connect(self.go_master_addr).is_ok() {
                    thread::sleep(SETTLE_TIME);
                    if self.go_master.is_running()? {
                        return Ok(());
                    }
                }
                thread::sleep(LOOK);
            }
        }
        bail!("the Go master does not start")
    }

    /// Waits until our node reaches so many nodes with the service `Game`, and knows so many.
    ///
    /// # Errors
    ///
    /// When it does not within this time.
    pub(crate) fn wait_games(
        &mut self,
        limit: Duration,
        is_it: impl Fn(u64, u64) -> bool,
    ) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            self.dunlin.order(&json!({ "do": "look", "service": "Game" }))?;
            let looked = self.dunlin.wait("looked", |_| true)?;
            let (up, all) = (looked["up"].as_u64().unwrap_or(0), looked["all"].as_u64().unwrap_or(0));
            if is_it(up, all) {
                return Ok(begin.elapsed());
            }
            ensure!(begin.elapsed() < limit, "after {limit:?} it reaches {up} of {all} nodes");
            thread::sleep(LOOK);
        }
    }

    /// Lets a session of our node do something at the Go backend.
    ///
    /// # Errors
    ///
    /// When our node is gone.
    pub(crate) fn order(
        &mut self,
        what: &str,
        (session, n): (u64, usize),
        (method, body): (&str, &str),
    ) -> Result<()> {
        let route = format!("Game.{method}");
        self.dunlin.order(&json!({
            "do": what, "session": session, "n": n, "service": "Game", "route": route, "body": body,
        }))
    }

    /// The same with a call, whose answer is waited for.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn call(&mut self, session: u64, method: &str, body: &str) -> Result<Value> {
        self.order("call", (session, 0), (method, body))?;
        let answer = self.dunlin.wait_within(TIME, "answer", |_| true)?;
        answer.with_context(|| format!("Game.{method} is not answered"))
    }

    /// The same with one call after another until one is answered: what answers may find no way back at first, as Go nodes dial a node that was
    /// away again only when they have waited.
    ///
    /// # Errors
    ///
    /// When none is.
    pub(crate) fn call_until(&mut self, session: u64, method: &str, body: &str) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < TIME {
            self.order("call", (session, 0), (method, body))?;
            if self.dunlin.wait_within(ANSWER_TIME, "answer", |_| true)?.is_some() {
                return Ok(());
            }
        }
        bail!("Game.{method} is not answered")
    }

    /// A client of the Go gate.
    ///
    /// # Errors
    ///
    /// When the gate does not let it in.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(self.client_addr)
    }

    /// Waits until a fresh client of the Go gate is answered on this route: whoever was bound to a node that died stays so.
    ///
    /// # Errors
    ///
    /// When none is in time.
    pub(crate) fn wait_answered(&self, route: &str) -> Result<(Client, Duration)> {
        let begin = Instant::now();
        loop {
            if let Ok(mut client) = self.client() {
                let id = client.ask(route, "there?")?;
                if client.answer(id, ANSWER_TIME).is_some() {
                    return Ok((client, begin.elapsed()));
                }
            }
            ensure!(begin.elapsed() < TIME, "no client of the Go gate is answered on {route}");
            thread::sleep(LOOK);
        }
    }
}

/// Bodies from 0 on.
pub(crate) fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}
