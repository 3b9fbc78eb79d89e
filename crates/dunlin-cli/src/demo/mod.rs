//! The demo: the gate, a chat, its page and its bots in one process.
//!
//! `chat.rs` is the server a reader may learn from, `messages.rs` what it is told and tells, `bots.rs` the clients that
//! make it move, `director.rs` who of them speaks, `script.rs` what they say, `pages.rs` the page.

mod bots;
mod chat;
mod director;
mod messages;
mod pages;
mod script;

use std::fmt;
use std::io::{ErrorKind, Write, stderr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use dunlin::{Node, StartError};

use self::bots::Flock;
use crate::cli::{DEMO_ADDR, DemoArgs};

/// How many ports are tried beginning with the default one.
const PORTS_TRIED: u16 = 20;

/// A demo that is being served. Dropping it ends everything at once.
pub(crate) struct Demo {
    node: Node,
    /// The address really bound.
    addr: SocketAddr,
    /// The default address, if something else is served there.
    taken: Option<SocketAddr>,
    bots: u16,
    /// Bots end with the demo.
    flock: Flock,
}

impl Demo {
    /// Serves the chat and its page, and sends the bots in.
    ///
    /// # Errors
    ///
    /// When the address cannot be served, with what to do about it.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, nothing stays.
    pub(crate) async fn start(args: &DemoArgs) -> anyhow::Result<Self> {
        let (node, taken) = match args.addr {
            Some(addr) => (serve(addr).await.map_err(|error| advise(error, addr))?, None),
            None => serve_by_default().await?,
        };
        let addr = *node.addrs().first().context("the gate has no address")?;
        if !addr.ip().is_loopback() {
            // Said even when logs are off; a closed stderr hides it, and nothing else can be told then either.
            writeln!(
                stderr(),
                "warning: {addr} can be reached from other machines, and the demo has no login"
            )
            .ok();
        }
        let flock = Flock::send(reachable(addr), args.bots);
        Ok(Self { node, addr, taken, bots: args.bots, flock })
    }

    /// Serves until Ctrl-C or SIGTERM.
    ///
    /// # Errors
    ///
    /// When signals cannot be listened for, or the gate fails.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it ends everything at once.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.node.run_until_signal().await.context("the demo ended unasked")?;
        drop(self.flock);
        Ok(())
    }
}

async fn serve(addr: SocketAddr) -> Result<Node, StartError> {
    pages::serve_pages(chat::app()).listen(addr).start().await
}

/// Serves on the default address, or on the next port that is free; then it also gives the address that was not.
async fn serve_by_default() -> anyhow::Result<(Node, Option<SocketAddr>)> {
    let mut addr = DEMO_ADDR;
    loop {
        match serve(addr).await {
            Ok(node) => return Ok((node, (addr != DEMO_ADDR).then_some(DEMO_ADDR))),
            Err(error) if is_taken(&error) && addr.port() + 1 < DEMO_ADDR.port() + PORTS_TRIED => {
                addr.set_port(addr.port() + 1);
            }
            Err(error) => return Err(advise(error, addr)),
        }
    }
}

fn is_taken(error: &StartError) -> bool {
    matches!(error, StartError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse)
}

/// Adds to an error what to do about it.
fn advise(error: StartError, addr: SocketAddr) -> anyhow::Error {
    let any = SocketAddr::new(addr.ip(), 0);
    let advice = match &error {
        StartError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse => {
            format!("something else is served there: stop it, or take any free port with --addr {any}")
        }
        StartError::Bind { source, .. } if source.kind() == ErrorKind::AddrNotAvailable => {
            "this machine has no such address: --addr 0.0.0.0:3250 serves on all that it has".to_owned()
        }
        StartError::Bind { .. } => format!("take any free port with --addr {any}"),
        _ => return error.into(),
    };
    anyhow::anyhow!("{:#}\n  {advice}", anyhow::Error::from(error))
}

/// Where an address can be reached from this machine.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
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
        let Demo { addr, taken, bots, .. } = self.demo;
        let room = match bots {
            0 => "nobody is there yet".to_owned(),
            1 => "one bot is there already".to_owned(),
            bots => format!("{bots} bots are talking there already"),
        };
        writeln!(f)?;
        writeln!(f, "  {bold}dunlin{plain} {dim}{}{plain}", env!("CARGO_PKG_VERSION"))?;
        writeln!(f)?;
        writeln!(f, "  open   {link}http://{}/{plain}", reachable(*addr))?;
        writeln!(f, "         {room}; a second tab talks with the first")?;
        if let Some(taken) = taken {
            writeln!(
                f,
                "         {dim}port {} was taken, so it is {} this time{plain}",
                taken.port(),
                addr.port()
            )?;
        }
        writeln!(f, "  next   {bold}cargo test --workspace{plain}")?;
        writeln!(f, "  stop   Ctrl-C")?;
        writeln!(f)
    }
}

#[cfg(test)]
mod tests;
