//! A member of the registry for the load: with its log on a disk, served over gRPC, until the bench is over.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use dunlin_bench::serve;
use dunlin_rafthttp::{ClusterId, MemberId};
use dunlin_registry::store::Member;
use dunlin_registry::{Begin, Node, NodeConfig, grpc};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

#[derive(Debug, Parser)]
struct Arguments {
    /// Its place among the peers, from 1 on.
    #[arg(long)]
    id: u64,
    /// Where the members reach each other.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<SocketAddr>,
    /// Where it is asked.
    #[arg(long)]
    listen: SocketAddr,
    /// Where its log is.
    #[arg(long)]
    dir: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // One thread for every two cores, as `dunlin serve` has by default.
    let workers = (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) / 2).max(1);
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()?.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { id, peers, listen, dir } = arguments;
    let url = |addr: &SocketAddr| format!("http://{addr}");
    let member = |(id, addr)| Member { id, urls: vec![url(addr)], ..Member::default() };
    let members: Vec<Member> = (1..).zip(&peers).map(member).collect();
    let place = usize::try_from(id)?.checked_sub(1).context("ids begin with 1")?;
    let peer_addr = peers.get(place).context("the id is none of the peers")?;
    let listener = TcpListener::bind(peer_addr).await?;
    let mut config = NodeConfig::new(MemberId(id), ClusterId(1), dir);
    config.urls = vec![url(peer_addr)];
    let begin = Begin::Bootstrap(members);
    let node = Node::start(&config, &begin, listener, dunlin_rafthttp::Builder::plain_text)?;
    let service = grpc::service(node.registry());
    let ended = async {
        tokio::task::spawn_blocking(serve::wait_for_end).await.ok();
    };
    let server = tonic::transport::Server::builder().tcp_nodelay(true).add_service(service);
    server.serve_with_shutdown(listen, ended).await?;
    node.stop().await;
    Ok(())
}
