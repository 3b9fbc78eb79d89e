//! All clients. On the input stands `mark NODE` when something happens to a node, and `end` when it is enough; on the output `ready` when
//! all were served, and in the end what they saw, as a line of JSON.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::report::Report;

/// Lines of the input that may wait.
const LINES_MAX: usize = 16;

/// The clients.
#[derive(Debug, clap::Args)]
pub(crate) struct CrowdArguments {
    /// The gates, as NAME=HOST:PORT.
    #[arg(long, value_delimiter = ',', required = true, value_parser = gate)]
    gates: Vec<(String, SocketAddr)>,
    /// How many clients there are.
    #[arg(long)]
    count: usize,
}

fn gate(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, addr) = text.split_once('=').ok_or("not of the form NAME=HOST:PORT")?;
    let addr = addr.parse().map_err(|error| format!("`{addr}` is no address: {error}"))?;
    Ok((name.to_owned(), addr))
}

/// What all clients share.
pub(crate) struct Crowd {
    gates: Vec<(String, SocketAddr)>,
    pub(crate) report: Report,
    over: watch::Sender<bool>,
    /// Clients that had an answer.
    served: AtomicUsize,
    all_served: watch::Sender<bool>,
    count: usize,
}

impl Crowd {
    /// The gate of this place, of which there is no last one.
    pub(crate) fn gate(&self, place: usize) -> &(String, SocketAddr) {
        &self.gates[place % self.gates.len()]
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits for the end.
    pub(crate) async fn over(&self) {
        // Its other end is here.
        self.over.subscribe().wait_for(|is_over| *is_over).await.ok();
    }

    /// One more client had its first answer.
    pub(crate) fn add_served(&self) {
        if self.served.fetch_add(1, Ordering::Relaxed) + 1 == self.count {
            self.all_served.send_replace(true);
        }
    }
}

/// Runs all clients.
///
/// # Errors
///
/// When what is to be done cannot be read, or what was seen not be written.
pub(crate) async fn run(arguments: &CrowdArguments) -> Result<()> {
    ensure!(!arguments.gates.is_empty(), "there are no gates");
    let crowd = Arc::new(Crowd {
        gates: arguments.gates.clone(),
        report: Report::default(),
        over: watch::Sender::new(false),
        served: AtomicUsize::new(0),
        all_served: watch::Sender::new(false),
        count: arguments.count,
    });
    let mut clients: JoinSet<()> =
        (0..arguments.count).map(|index| Client::new(crowd.clone(), index).live()).collect();
    let (mut lines, mut served) = (lines(), crowd.all_served.subscribe());
    let mut is_told = false;
    loop {
        tokio::select! {
            line = lines.recv() => match line.as_deref().map(str::trim) {
                None | Some("end") => break,
                Some(line) => {
                    let node = line.strip_prefix("mark ");
                    crowd.report.mark(node.with_context(|| format!("`{line}` is no order"))?);
                }
            },
            _ = served.wait_for(|all| *all), if !is_told => {
                is_told = true;
                writeln!(std::io::stdout(), "ready")?;
            }
        }
    }
    crowd.over.send_replace(true);
    while let Some(ended) = clients.join_next().await {
        ended.context("a client panicked")?;
    }
    let report = json!({ "counts": &*crowd.report.counts(), "marks": &*crowd.report.marks() });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

/// The lines of the input. They are read by a thread, which ends with the process.
fn lines() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receive
}
