//! A cluster under test: a node of ours, Go nodes, and where they are.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::client::Client;
use super::node::{Node, TIME};
use crate::addrs;
use crate::table::Seen;

/// nano's interval, short: after four of them a node that is silent is gone.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How often what changes by itself is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How often the Go master is started.
const STARTS_MAX: usize = 5;

/// When it has not ended so long after it listens, it does not.
const SETTLE_TIME: Duration = Duration::from_millis(300);

/// How long an answer may take before it is asked for again.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Clients that ask at a time, and requests of each of them.
pub(super) const CLIENTS: usize = 10;
const CALLS: usize = 100;

/// Messages of one client in a row.
pub(super) const ORDERED: usize = 1_000;

/// How an answer begins that a route is not there.
pub(super) const NOT_FOUND: &str = r#"{"code":404,"#;

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Dunlin,
    Go,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) master: Side,
    /// A gate with the service `Room`.
    pub(crate) dunlin: Node,
    /// Has the service `Game`.
    pub(crate) backend: Node,
    /// The same at another address.
    pub(crate) other_backend: Node,
    /// A gate without a service.
    pub(crate) gate: Node,
    /// The master, if that is a Go node; it does nothing else.
    pub(crate) go_master: Node,
    dunlin_clients: SocketAddr,
    gate_clients: SocketAddr,
    go_master_addr: SocketAddr,
}

impl Lab {
    /// A cluster of which nobody runs yet.
    ///
    /// # Errors
    ///
    /// When there are no ports.
    pub(crate) fn new((go, dunlin): (PathBuf, PathBuf), dir: &Path, master: Side) -> Result<Self> {
        let [dunlin_addr, dunlin_clients, backend, other, gate, gate_clients, go_master] =
            addrs::free::<7>()?;
        let master_addr = if master == Side::Dunlin { dunlin_addr } else { go_master }.to_string();
        let heartbeat = HEARTBEAT.as_millis().to_string();
        let text = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<String>>();
        let data = dir.join("data").display().to_string();
        let mut ours = text(&["--listen", &dunlin_addr.to_string(), "--client", &dunlin_clients.to_string()]);
        ours.extend(text(&["--dir", &data, "--heartbeat-ms", &heartbeat]));
        if master == Side::Go {
            ours.extend(text(&["--nano-master", &master_addr]));
        }
        let go_node = |name: &'static str, addr: SocketAddr, more: &[&str]| {
            let (addr, heartbeat) = (addr.to_string(), format!("{heartbeat}ms"));
            let mut args = text(&["-listen", &addr, "-label", name, "-heartbeat", &heartbeat]);
            args.extend(text(more));
            Node::new(name, go.clone(), args, dir.to_owned())
        };
        let clients = gate_clients.to_string();
        Ok(Self {
            master,
            dunlin: Node::new("dunlin", dunlin, ours, dir.to_owned()),
            backend: go_node("backend", backend, &["-master", &master_addr, "-service", "Game"]),
            other_backend: go_node("other", other, &["-master", &master_addr, "-service", "Game"]),
            gate: go_node("gate", gate, &["-master", &master_addr, "-client", &clients]),
            go_master: go_node("master", go_master, &[]),
            dunlin_clients,
            gate_clients,
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

    /// A client of the gate of this side.
    ///
    /// # Errors
    ///
    /// When the gate does not let it in.
    pub(crate) fn client(&self, gate: Side) -> Result<Client> {
        Client::connect(match gate {
            Side::Dunlin => self.dunlin_clients,
            Side::Go => self.gate_clients,
        })
    }

    /// Waits until a fresh client is answered so that this is true of it. An answer may find no way back at first, as Go nodes dial a node that was
    /// away again only when they have waited; and who is bound to a node that died stays so at a Go gate.
    ///
    /// # Errors
    ///
    /// When none is in time.
    pub(crate) fn wait_answer(
        &self,
        gate: Side,
        route: &str,
        is_it: impl Fn(&str) -> bool,
    ) -> Result<(Client, Duration)> {
        let begin = Instant::now();
        let mut last = "with nothing".to_owned();
        loop {
            if let Ok(mut client) = self.client(gate) {
                let id = client.ask(route, "there?")?;
                match client.answer(id, ANSWER_TIME) {
                    Some(answer) if is_it(&answer) => return Ok((client, begin.elapsed())),
                    Some(answer) => last = answer,
                    None => {}
                }
            }
            ensure!(begin.elapsed() < TIME, "{route} is answered {last}");
            thread::sleep(LOOK);
        }
    }

    /// Waits until a fresh client is answered by whoever serves the route.
    ///
    /// # Errors
    ///
    /// When none is in time.
    pub(crate) fn wait_echo(&self, gate: Side, route: &str) -> Result<(Client, Duration)> {
        self.wait_answer(gate, route, |answer| answer == "there?")
    }

    /// Waits until each of so many fresh clients of the Go gate is answered: nobody is sent to a node that is gone. It takes some time, as a Go node hears
    /// of that after ours.
    ///
    /// # Errors
    ///
    /// When they are not in time.
    pub(crate) fn wait_all_answered(&self, count: usize, route: &str) -> Result<()> {
        let begin = Instant::now();
        let mut row = 0;
        while row < count {
            let mut client = self.client(Side::Go)?;
            let id = client.ask(route, "there?")?;
            row = if client.answer(id, ANSWER_TIME).is_some() { row + 1 } else { 0 };
            ensure!(begin.elapsed() < TIME * 2, "clients are sent to a node that is gone");
        }
        Ok(())
    }

    /// Lets several clients of a gate ask at a time, and compares what they are answered. How long it took.
    ///
    /// # Errors
    ///
    /// When an answer is missing or another one's.
    pub(crate) fn ask_many(
        &self,
        gate: Side,
        route: &str,
        (count, calls): (usize, usize),
    ) -> Result<Duration> {
        let begin = Instant::now();
        let mut clients = (0..count).map(|_| self.client(gate)).collect::<Result<Vec<_>>>()?;
        for n in 0..calls {
            let mut asked = Vec::new();
            for (place, client) in clients.iter_mut().enumerate() {
                asked.push(client.ask(route, &format!("{place}/{n}"))?);
            }
            for (place, (client, id)) in clients.iter_mut().zip(asked).enumerate() {
                let answer =
                    client.answer(id, TIME).with_context(|| format!("{place}/{n} is not answered"))?;
                ensure!(answer == format!("{place}/{n}"), "{place}/{n} is answered with {answer}");
            }
        }
        Ok(begin.elapsed())
    }

    /// The claim that clients of a gate, several at a time, are answered by a service behind it, and are told when it has no such route.
    ///
    /// # Errors
    ///
    /// When it does not hold.
    pub(super) fn requests(&self, gate: Side, service: &str) -> Result<Seen> {
        let elapsed = self.ask_many(gate, &format!("{service}.Echo"), (CLIENTS, CALLS))?;
        let mut client = self.client(gate)?;
        let id = client.ask(&format!("{service}.Nowhere"), "?")?;
        let refusal = client.answer(id, TIME).context("a route that is not there is not answered")?;
        ensure!(refusal.starts_with(NOT_FOUND), "a route that is not there is answered with {refusal}");
        let total = CLIENTS * CALLS;
        let detail = format!(
            "of {CLIENTS} clients at a time, in {elapsed:?}; a route that is not there is answered with {refusal}"
        );
        Ok(Seen { count: format!("{total}/{total}"), detail })
    }
}

/// Bodies from 0 on.
pub(crate) fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}
