//! dunlin under load: an echo and a broadcast on raw bytes, WebSocket and TCP on one address.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Parser;
use dunlin::{App, Error, Groups, Raw, Session};
use dunlin_bench::serve;

/// Length of every broadcast body: the sequence number, then padding.
const BODY_LEN: usize = 32;
const GROUP: &str = "bench";

/// Serves `Bench.Echo`, `Bench.Join` and `Bench.Burst`.
#[derive(Debug, Parser)]
struct Arguments {
    /// Shards, each a thread; 0 is one for each core.
    #[arg(long, default_value_t = 0)]
    shards: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let node = app(arguments.shards).listen(addr).start().await.context("cannot start")?;
        serve::announce(*node.addrs().first().context("no address")?)?;
        tokio::task::spawn_blocking(serve::wait_for_end).await?;
        Ok(())
    })
}

fn app(shards: usize) -> App {
    App::new()
        .configure(|gate| gate.shards = shards)
        .route("Bench.Echo", |Raw(body): Raw| async move { Ok::<_, Error>(Raw(body)) })
        .route("Bench.Join", |session: Session, groups: Groups| async move {
            groups.group(GROUP).add(&session)?;
            Ok::<_, Error>(Raw(Bytes::from_static(b"ok")))
        })
        .route("Bench.Burst", |groups: Groups, Raw(body): Raw| async move {
            burst(&groups, &body)?;
            Ok::<_, Error>(Raw(Bytes::from_static(b"ok")))
        })
}

/// Broadcasts `count` messages back to back, numbered from `first`; losses are counted by the receivers.
fn burst(groups: &Groups, body: &[u8]) -> Result<(), Error> {
    let (Some(count), Some(first)) =
        (body.first_chunk::<4>(), body.get(4..).and_then(<[u8]>::first_chunk::<8>))
    else {
        return Err(Error::bad_request("a count and a first number are needed"));
    };
    let (count, first) = (u32::from_le_bytes(*count), u64::from_le_bytes(*first));
    let group = groups.group(GROUP);
    for sequence in first..first.saturating_add(u64::from(count)) {
        let mut message = [0; BODY_LEN];
        message[..8].copy_from_slice(&sequence.to_le_bytes());
        group.broadcast_raw("onBench", message.to_vec())?;
    }
    Ok(())
}
