//! A node: gate, backend or voter, as its flags say. On its output stands how many sessions it knows, a line of JSON for each change.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use dunlin::{App, CloseReason, ClusterConfig, GateConfig, Node, VoterConfig};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::service::Probe;

/// How often it is looked what has changed.
const LOOK: Duration = Duration::from_millis(20);

/// A node.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArguments {
    /// What people call this node.
    #[arg(long)]
    name: String,
    /// Where other nodes reach it, as HOST:PORT.
    #[arg(long)]
    cluster: String,
    /// The voters, as ID=URL, the same for every node.
    #[arg(long, value_delimiter = ',', required = true, value_parser = voter)]
    voters: Vec<(u64, String)>,
    /// Makes this node the voter of this id.
    #[arg(long, requires = "dir")]
    voter: Option<u64>,
    /// Where a voter keeps its log.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where clients reach it, as HOST:PORT. Without it the node is no gate.
    #[arg(long)]
    clients: Option<String>,
    /// Has the service.
    #[arg(long)]
    backend: bool,
}

fn voter(text: &str) -> Result<(u64, String), String> {
    let (id, url) = text.split_once('=').ok_or("not of the form ID=URL")?;
    let id = id.parse().map_err(|error| format!("`{id}` is no id: {error}"))?;
    Ok((id, url.to_owned()))
}

/// What a node says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Gauges {
    sessions: u64,
    travellers: u64,
    visitors: u64,
    /// Sessions that ended here because their gate was lost.
    gate_lost: u64,
    /// Whether a stop cut nothing short, once it has stopped.
    is_clean: Option<bool>,
}

/// Runs a node until SIGTERM.
///
/// # Errors
///
/// When it does not start, or cannot say how it is.
pub(crate) async fn run(arguments: &NodeArguments) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("signals cannot be listened for")?;
    let gate_lost = Arc::new(AtomicU64::new(0));
    let node = app(arguments, &gate_lost).start().await.context("the node does not start")?;
    let (mut said, mut look) = (None, tokio::time::interval(LOOK));
    loop {
        tokio::select! {
            _ = look.tick() => say(&mut said, gauges(&node, &gate_lost))?,
            _ = terminated.recv() => break,
        }
    }
    let is_clean = Some(node.stop().await.is_clean);
    say(&mut said, Gauges { is_clean, ..gauges(&node, &gate_lost) })
}

fn app(arguments: &NodeArguments, gate_lost: &Arc<AtomicU64>) -> App {
    let voters = arguments.voters.iter().map(|(id, url)| (*id, url.as_str()));
    let mut config = ClusterConfig::new(&arguments.name, &arguments.cluster).voters(voters);
    if let (Some(id), Some(dir)) = (arguments.voter, &arguments.dir) {
        config = config.voter(VoterConfig::new(id, dir));
    }
    let lost = gate_lost.clone();
    let mut app =
        App::new().cluster(config).configure(GateConfig::trust_clients).on_closed(move |_, reason| {
            if *reason == CloseReason::GateLost {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        });
    if arguments.backend {
        app = app.service(Probe::new(&arguments.name));
    }
    if let Some(addr) = &arguments.clients {
        app = app.listen(addr.as_str());
    }
    app
}

fn gauges(node: &Node, gate_lost: &AtomicU64) -> Gauges {
    let stats = node.stats();
    Gauges {
        sessions: stats.sessions(),
        travellers: stats.travellers,
        visitors: stats.visitors,
        gate_lost: gate_lost.load(Ordering::Relaxed),
        is_clean: None,
    }
}

fn say(said: &mut Option<Gauges>, now: Gauges) -> Result<()> {
    if *said != Some(now) {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&now)?)?;
        *said = Some(now);
    }
    Ok(())
}
