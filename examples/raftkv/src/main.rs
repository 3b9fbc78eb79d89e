//! A replicated key-value store over HTTP, with the flags and routes of etcd's raftexample, and with a disk that is believed.
//!
//! Three members by hand, each in a terminal of its own:
//!
//! ```text
//! cargo run -p raftkv-example -- --id 1 --port 12380 --cluster http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379
//! cargo run -p raftkv-example -- --id 2 --port 22380 --cluster http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379
//! cargo run -p raftkv-example -- --id 3 --port 32380 --cluster http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379
//! curl -X PUT http://127.0.0.1:12380/greeting -d hello
//! curl http://127.0.0.1:32380/greeting
//! ```
//!
//! A fourth one: `curl -X POST http://127.0.0.1:12380/4 -d http://127.0.0.1:42379` at the leader, then start it with `--id 4 --join` and the four URLs.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dunlin_rafthttp::{ClusterId, MemberId};
use dunlin_registry::store::Member;
use dunlin_registry::{Begin, Health, Node, NodeConfig};
use tokio::net::TcpListener;

/// A member of a replicated key-value store.
#[derive(Debug, Parser)]
struct Arguments {
    /// URLs of all members, in the order of their ids.
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:9021")]
    cluster: Vec<String>,
    /// The id of this member: its place in the list, from 1 on.
    #[arg(long, default_value_t = 1)]
    id: u64,
    /// The port of the key-value store.
    #[arg(long, default_value_t = 9121)]
    port: u16,
    /// Joins a group that runs and has added this member.
    #[arg(long)]
    join: bool,
    /// The address of the key-value store. There is no authentication: beyond the loopback, whoever reaches it may do everything.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The id of the group: members of another one are refused.
    #[arg(long, default_value_t = 0x1000)]
    cluster_id: u64,
    /// Where the log and the snapshots are. Default: `raftkv-ID` in the working directory.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A snapshot is taken after so many entries. Default: as the library has it.
    #[arg(long)]
    snapshot_entries: Option<u64>,
    /// The log keeps so many entries before a snapshot. Default: as the library has it.
    #[arg(long)]
    snapshot_tail: Option<u64>,
}

impl Arguments {
    fn members(&self) -> Vec<Member> {
        let member = |(id, url): (u64, &String)| Member { id, urls: vec![url.clone()], ..Member::default() };
        (1..).zip(&self.cluster).map(member).collect()
    }

    /// Where this member listens for the others: the host and port of its URL.
    fn peer_addr(&self) -> Result<String> {
        let place = usize::try_from(self.id)?.checked_sub(1).context("ids begin with 1")?;
        let url = self.cluster.get(place).with_context(|| {
            format!("--cluster has {} URLs, and --id {} is none of them", self.cluster.len(), self.id)
        })?;
        let addr =
            url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))?;
        ensure!(addr.contains(':'), "{url} has no port");
        Ok(addr.trim_end_matches('/').to_owned())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let peer_addr = arguments.peer_addr()?;
    let peers =
        TcpListener::bind(&peer_addr).await.with_context(|| format!("cannot listen on {peer_addr}"))?;
    let kv_addr = (arguments.host, arguments.port);
    let kv = TcpListener::bind(kv_addr).await.with_context(|| format!("cannot listen on {kv_addr:?}"))?;

    let dir = arguments.dir.clone().unwrap_or_else(|| format!("raftkv-{}", arguments.id).into());
    let mut config = NodeConfig::new(MemberId(arguments.id), ClusterId(arguments.cluster_id), dir);
    config.urls = vec![format!("http://{peer_addr}")];
    config.snapshot_entries = arguments.snapshot_entries.unwrap_or(config.snapshot_entries);
    config.snapshot_tail = arguments.snapshot_tail.unwrap_or(config.snapshot_tail);
    let members = arguments.members();
    let begin = if arguments.join { Begin::Join(members) } else { Begin::Bootstrap(members) };
    let node = Node::start(&config, &begin, peers, dunlin_rafthttp::Builder::plain_text)?;
    tracing::info!(addr = %kv.local_addr()?, "the key-value store is served");

    let mut state = node.state();
    let over = async {
        let stopped = state.wait_for(|state| matches!(state.health, Health::Stopped(_)));
        tokio::select! {
            // Without signals it runs until it is killed, which it survives as well.
            Ok(()) = tokio::signal::ctrl_c() => {}
            _ = stopped => {}
        }
    };
    dunlin_registry::http::serve(node.registry(), kv, over).await;
    let health = node.state().borrow().health.clone();
    node.stop().await;
    match health {
        Health::Stopped(Some(why)) => anyhow::bail!("the member cannot go on: {why}"),
        _ => Ok(()),
    }
}
