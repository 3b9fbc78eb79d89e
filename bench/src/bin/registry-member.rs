//! A member of the registry for the load: with its log on a disk, served over gRPC, until the bench is over.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use dunlin_bench::serve;
use dunlin_rafthttp::{ClusterId, MemberId};
use dunlin_registry::grpc::LateFlush;
use dunlin_registry::store::Member;
use dunlin_registry::{Begin, Node, NodeConfig, grpc};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;

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
    Builder::new_multi_thread()
        .worker_threads(serve::workers())
        .enable_all()
        .build()?
        .block_on(run(arguments))
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
    let listener = TcpListener::bind(listen).await?;
    let routes = Routes::new(grpc::service(node.registry()));
    tokio::select! {
        served = answer(listener, routes) => served?,
        ended = tokio::task::spawn_blocking(serve::wait_for_end) => ended?,
    }
    node.stop().await;
    Ok(())
}

/// Serves as the port of a node does.
async fn answer(listener: TcpListener, routes: Routes) -> Result<()> {
    let routes = routes.map_request(|request: http::Request<Incoming>| request.map(Body::new));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(routes.clone());
        let io = TokioIo::new(LateFlush::new(stream));
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        // Clients go when they have measured.
        tokio::spawn(async move { server.serve_connection(io, service).await.ok() });
    }
}
