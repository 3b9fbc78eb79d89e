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
//! A fourth one: `curl -X POST http://127.0.0.1:12380/4 -d http://127.0.0.1:42379`, then start it with `--id 4 --join` and the four URLs.
//!
//! A member that has been started before needs its directory alone: `--dir raftkv-1 --port 12380`.

use anyhow::{Context, Result};
use clap::Parser;
use dunlin_registry::{Health, Node};
use tokio::net::TcpListener;

use crate::arguments::{Arguments, Setup};

mod arguments;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let Setup { config, begin, peer_addr } = arguments.setup()?;
    let peers =
        TcpListener::bind(&peer_addr).await.with_context(|| format!("cannot listen on {peer_addr}"))?;
    let kv_addr = (arguments.host, arguments.port);
    let kv = TcpListener::bind(kv_addr).await.with_context(|| format!("cannot listen on {kv_addr:?}"))?;
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
