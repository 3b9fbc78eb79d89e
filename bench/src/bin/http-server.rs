//! The server of the wave, and the certificate that all servers of the bench show.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dunlin_bench::http::server::WaveServer;
use dunlin_bench::http::{CertificateFiles, Protocol};
use dunlin_bench::serve;
use tokio::net::TcpListener;

/// Serves, or makes the certificate to serve with.
#[derive(Debug, Subcommand)]
enum Command {
    /// Answers after a moment with how many connections there were.
    Serve {
        /// What is spoken.
        #[arg(long, value_enum, default_value = "h1")]
        protocol: Protocol,
        /// Time that each answer takes.
        #[arg(long, default_value_t = 2)]
        delay_ms: u64,
        /// The certificate; without it there is no TLS.
        #[arg(long, requires = "key")]
        cert: Option<PathBuf>,
        /// Its key.
        #[arg(long, requires = "cert")]
        key: Option<PathBuf>,
    },
    /// Makes a certificate for the loopback.
    Certificate(CertificateFiles),
}

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Certificate(files) => files.make(),
        Command::Serve { protocol, delay_ms, cert, key } => {
            let files = cert.zip(key).map(|(cert, key)| CertificateFiles { cert, key });
            let server = WaveServer::new(protocol, files.as_ref(), Duration::from_millis(delay_ms))?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                serve::announce(listener.local_addr()?)?;
                tokio::select! {
                    served = server.run(listener) => served,
                    ended = tokio::task::spawn_blocking(serve::wait_for_end) => Ok(ended?),
                }
            })
        }
    }
}
