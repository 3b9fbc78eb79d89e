//! The demo: a cluster of three nodes in one process, a pond that they share, and things to break.
//!
//! `pond.rs` is the server a reader may learn from, and the page shows it. `bots.rs` are the clients that make it move, by
//! `swimmer.rs`. `nodes.rs` are the three nodes over a network that can be cut (`network.rs`), `lab.rs` what the buttons do to
//! them, told by `desk.rs`, with a client that does not read (`slow.rs`, `valve.rs`). `ledger.rs` and `judge.rs` look that nothing
//! is lost, `look.rs` and `events.rs` tell pages of all that, in the words of `messages.rs`. `pages.rs` is the page, `ports.rs` where it is.

mod bots;
mod desk;
mod events;
mod judge;
mod lab;
mod ledger;
mod look;
mod messages;
mod network;
mod nodes;
mod pages;
mod pond;
mod ports;
mod slow;
mod swimmer;
mod valve;

use std::fmt;
use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dunlin_admin::{Admin, AdminConfig};
use futures_util::future::try_join_all;
use socket2::Socket;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::bots::Flock;
use self::lab::Lab;
use self::nodes::{NAMES, Nodes};
use self::ports::reachable;
use crate::cli::DemoArgs;

/// How often the folder is tried to be removed at the end: threads that write there may still be ending.
const REMOVALS_MAX: usize = 20;
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);

/// Where the cluster page is, or else on any free port.
const ADMIN_ADDR: &str = "127.0.0.1:7070";
const ADMIN_ADDR_ANY: &str = "127.0.0.1:0";

/// A demo that is being served. Dropping it ends everything at once.
pub(crate) struct Demo {
    lab: Arc<Lab>,
    /// Where each gate is served.
    gates: Arc<[SocketAddr]>,
    /// The default address, if something else is served there.
    taken: Option<SocketAddr>,
    /// Keep the gates' ports while a node is away.
    _kept: Vec<Socket>,
    bots: u16,
    /// Bots end with the demo.
    flock: Flock,
    /// What tells pages of the cluster.
    telling: JoinSet<()>,
    /// The logs of the voters.
    dir: Option<TempDir>,
}

impl Demo {
    /// Starts the nodes, and sends the bots in.
    ///
    /// # Errors
    ///
    /// When an address cannot be served, with what to do about it.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, nothing stays but perhaps a temporary folder.
    pub(crate) async fn start(args: &DemoArgs) -> anyhow::Result<Self> {
        let found = ports::find(args.addr, NAMES.len())?;
        let dir = TempDir::with_prefix("dunlin-demo-").context("there is no place for the voters' logs")?;
        let origin = ports::origins(&found.addrs);
        let admin = start_admin(args.addr).await;
        let nodes =
            Nodes::new(&found.addrs, dir.path().to_owned(), origin, admin).context("no port for a node")?;
        // From here on whatever is begun ends with the demo.
        let mut demo = Self {
            lab: Lab::new(nodes),
            gates: found.addrs.iter().copied().map(reachable).collect(),
            taken: found.taken,
            _kept: found.kept,
            bots: args.bots,
            flock: Flock::default(),
            telling: JoinSet::new(),
            dir: Some(dir),
        };
        let lab = &demo.lab;
        try_join_all((0..NAMES.len()).map(|index| lab.start(index))).await?;
        lab.events.add(format!("{} are up", NAMES.join(", ")));
        warn_of_strangers(&found.addrs);
        demo.telling.spawn(look::tell(lab.clone()));
        demo.flock = Flock::send(&demo.gates, args.bots, &lab.court).context("no thread for the bots")?;
        Ok(demo)
    }

    /// Serves until Ctrl-C or SIGTERM.
    ///
    /// # Errors
    ///
    /// When signals cannot be listened for.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it ends everything at once.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let why = "signals cannot be listened for";
        let mut interrupt = signal(SignalKind::interrupt()).context(why)?;
        let mut terminate = signal(SignalKind::terminate()).context(why)?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        self.end().await;
        Ok(())
    }

    /// Ends everything, and removes the folder.
    async fn end(&mut self) {
        self.telling.abort_all();
        self.flock.end();
        self.lab.end();
        let Some(dir) = self.dir.take() else { return };
        for _ in 0..REMOVALS_MAX {
            // Voters end beside this, and write until they have.
            sleep(REMOVAL_PAUSE).await;
            if std::fs::remove_dir_all(dir.path()).is_ok() {
                break;
            }
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.lab.end();
    }
}

/// The cluster page, on loopback alone. The demo goes on without it.
async fn start_admin(asked: Option<SocketAddr>) -> Option<Admin> {
    let any = asked.is_some_and(|addr| addr.port() == 0);
    if !any && let Ok(admin) = Admin::start(AdminConfig::new(ADMIN_ADDR)).await {
        return Some(admin);
    }
    match Admin::start(AdminConfig::new(ADMIN_ADDR_ANY)).await {
        Ok(admin) => Some(admin),
        Err(error) => {
            tracing::warn!(%error, "there is no cluster page");
            None
        }
    }
}

fn warn_of_strangers(addrs: &[SocketAddr]) {
    for addr in addrs.iter().filter(|addr| !addr.ip().is_loopback()).take(1) {
        // Said even when logs are off; a closed stderr hides it, and nothing else can be told then either.
        writeln!(stderr(), "warning: {addr} can be reached from other machines, and the demo has no login")
            .ok();
    }
}

/// What the demo says when it is served.
pub(crate) struct Banner<'a> {
    pub(crate) demo: &'a Demo,
    pub(crate) is_styled: bool,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = |code| if self.is_styled { code } else { "" };
        let (bold, dim, link, plain) =
            (style("\x1b[1m"), style("\x1b[2m"), style("\x1b[1;36m"), style("\x1b[0m"));
        let Demo { gates, taken, bots, .. } = self.demo;
        let tadpoles = match bots {
            0 => "nobody swims there yet".to_owned(),
            1 => "one bot swims there already".to_owned(),
            bots => format!("{bots} bots swim there already"),
        };
        writeln!(f)?;
        writeln!(
            f,
            "  {bold}dunlin{plain} {dim}{}{plain}   three nodes, one pond",
            env!("CARGO_PKG_VERSION")
        )?;
        writeln!(f)?;
        for (index, (name, addr)) in NAMES.iter().zip(gates.iter()).enumerate() {
            let word = if index == 0 { "open" } else { "    " };
            writeln!(f, "  {word}   {link}http://{addr}/{plain}   {dim}{name}{plain}")?;
        }
        writeln!(f, "         {tadpoles}; a second tab lands on another node")?;
        if let (Some(taken), Some(addr)) = (taken, gates.first()) {
            let (taken, port) = (taken.port(), addr.port());
            writeln!(f, "         {dim}port {taken} was taken, so it begins at {port} this time{plain}")?;
        }
        if let Some(addr) = self.demo.lab.nodes.admin_addr() {
            writeln!(f, "  look   {link}http://{addr}/admin/{plain}   {dim}the cluster page{plain}")?;
        }
        writeln!(f, "  try    Kill leader, Cut a link, Drain a node, Slow client; four counters stay 0")?;
        writeln!(f, "  next   {bold}cargo test --workspace{plain}")?;
        writeln!(f, "  stop   Ctrl-C")?;
        writeln!(f)
    }
}

#[cfg(test)]
mod tests;
