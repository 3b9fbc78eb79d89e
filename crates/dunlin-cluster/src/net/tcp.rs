//! Nodes over TCP.

use std::io;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};

use super::{Io, Listening, Network};

/// Sockets, in plain text: for networks that one trusts.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpNetwork;

struct Listener {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Network for TcpNetwork {
    fn listen(&self, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Listening>>> {
        let addr = addr.to_owned();
        Box::pin(async move {
            let listener = TcpListener::bind(&addr).await?;
            let addr = listener.local_addr()?;
            Ok(Box::new(Listener { listener, addr }) as Box<dyn Listening>)
        })
    }

    fn dial(&self, _from: &str, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Io>>> {
        let addr = addr.to_owned();
        Box::pin(async move {
            let stream = TcpStream::connect(&addr).await?;
            // A socket that cannot be set up works all the same, if slower.
            stream.set_nodelay(true).ok();
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}

impl Listening for Listener {
    fn addr(&self) -> String {
        self.addr.to_string()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Io>>> {
        Box::pin(async {
            let (stream, _) = self.listener.accept().await?;
            stream.set_nodelay(true).ok();
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}
