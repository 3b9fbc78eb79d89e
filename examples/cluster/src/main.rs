//! The chat on several nodes: gates that clients connect to, nodes that have the service, voters that know who is there. One binary, any mix.
//!
//! Three nodes, each in a terminal of its own; all three vote, two take clients, and two have the chat:
//!
//! ```text
//! V=1=http://127.0.0.1:7001,2=http://127.0.0.1:7002,3=http://127.0.0.1:7003
//! cargo run -p cluster-example -- --name one --cluster 127.0.0.1:7001 --voters $V --voter 1 --clients 127.0.0.1:3251
//! cargo run -p cluster-example -- --name two --cluster 127.0.0.1:7002 --voters $V --voter 2 --clients 127.0.0.1:3252 --chat
//! cargo run -p cluster-example -- --name three --cluster 127.0.0.1:7003 --voters $V --voter 3 --chat
//! ```
//!
//! Stop any of them with Ctrl-C, or kill it: the others go on. `docs/clusters.md` walks through it.

mod chat;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use dunlin::{App, ClusterConfig, VoterConfig};

/// A node of the chat.
#[derive(Debug, Parser)]
struct Arguments {
    /// What people call this node.
    #[arg(long)]
    name: String,
    /// Where other nodes reach it, as HOST:PORT.
    #[arg(long)]
    cluster: String,
    /// The voters, as ID=URL of their cluster addresses, the same for every node.
    #[arg(long, value_delimiter = ',', required = true, value_parser = voter)]
    voters: Vec<(u64, String)>,
    /// Makes this node the voter of this id.
    #[arg(long)]
    voter: Option<u64>,
    /// Where a voter keeps its log. Default: `cluster-NAME` in the working directory.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where clients reach it, as HOST:PORT. Without it the node is no gate.
    #[arg(long)]
    clients: Option<String>,
    /// The address of a Go node of nano, HOST:PORT, that is to be a master of this node.
    #[arg(long)]
    nano_master: Option<String>,
    /// Has the chat here. Without it calls are forwarded to a node that has it.
    #[arg(long)]
    chat: bool,
}

fn voter(text: &str) -> Result<(u64, String), String> {
    let (id, url) = text.split_once('=').ok_or("not of the form ID=URL")?;
    let id = id.parse().map_err(|error| format!("`{id}` is no id: {error}"))?;
    Ok((id, url.to_owned()))
}

impl Arguments {
    fn config(&self) -> ClusterConfig {
        let voters = self.voters.iter().map(|(id, url)| (*id, url.as_str()));
        let mut config = ClusterConfig::new(&self.name, &self.cluster).voters(voters);
        config.nano_master.clone_from(&self.nano_master);
        let dir = self.dir.clone().unwrap_or_else(|| format!("cluster-{}", self.name).into());
        match self.voter {
            Some(id) => config.voter(VoterConfig::new(id, dir)),
            None => config,
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    // Everybody of a room is with the node that its name leads to.
    let mut app = App::new().cluster(arguments.config()).dispatch_by("Chat", chat::room_of);
    if arguments.chat {
        app = app.service(chat::Chat);
    }
    if let Some(addr) = &arguments.clients {
        app = app.listen(addr.as_str());
    }
    let node = app.start().await.context("the node does not start")?;
    node.run_until_signal().await?;
    Ok(())
}
