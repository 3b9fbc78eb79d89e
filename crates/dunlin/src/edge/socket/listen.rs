//! Where clients come in: addresses, and one listening socket for each shard.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use super::{Proxies, ServerTls, TlsFiles};

/// Connections the kernel keeps ready between two accepts.
const BACKLOG: i32 = 1024;

/// An address on which clients are served: raw TCP, WebSocket and pages, told apart by the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub(crate) addr: String,
    pub(crate) tls: Option<TlsFiles>,
    /// Whose word on clients is taken; empty when clients come by themselves.
    pub(crate) proxies: Vec<String>,
}

impl Listen {
    /// An address without TLS, such as `0.0.0.0:3250`, `[::]:3250` or `localhost:3250`. Port 0 takes any free port.
    #[must_use]
    pub fn plain(addr: impl Into<String>) -> Self {
        Self { addr: addr.into(), tls: None, proxies: Vec::new() }
    }

    /// An address on which every connection is under TLS.
    #[must_use]
    pub fn tls(addr: impl Into<String>, files: TlsFiles) -> Self {
        Self { addr: addr.into(), tls: Some(files), proxies: Vec::new() }
    }

    /// Expects proxies here, at these addresses and networks, such as `10.0.0.7` or `10.0.0.0/8`: each connection begins with a header
    /// of the PROXY protocol, version 2, that says where its client is. Sessions and limits go by that. A connection that is none of
    /// theirs, or begins with anything else, is closed; so is version 1. An empty list expects none.
    ///
    /// ```
    /// use dunlin::Listen;
    ///
    /// let behind_a_balancer = Listen::plain("0.0.0.0:3250").proxy_protocol(["10.0.0.0/8"]);
    /// ```
    #[must_use]
    pub fn proxy_protocol(mut self, from: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.proxies = from.into_iter().map(Into::into).collect();
        self
    }
}

impl From<&str> for Listen {
    fn from(addr: &str) -> Self {
        Self::plain(addr)
    }
}

impl From<String> for Listen {
    fn from(addr: String) -> Self {
        Self::plain(addr)
    }
}

impl From<SocketAddr> for Listen {
    fn from(addr: SocketAddr) -> Self {
        Self::plain(addr.to_string())
    }
}

/// A listening socket of one shard.
#[derive(Debug)]
pub(crate) struct BoundListener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) proxies: Option<Arc<Proxies>>,
}

/// Binds one address for `shards` shards and returns their sockets with the address that was really bound.
///
/// On Linux every shard has its own socket on the port and the kernel spreads connections over them. Elsewhere they
/// share one socket.
pub(crate) fn bind_shards(addr: &str, shards: usize) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let addr = addr
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"))?;
    if cfg!(not(target_os = "linux")) || shards == 1 {
        let first = bind(addr, false)?;
        let bound = first.local_addr()?;
        let mut sockets = vec![first];
        while sockets.len() < shards {
            let clone = sockets.first().map(TcpListener::try_clone).transpose()?;
            sockets.extend(clone);
        }
        return Ok((sockets, bound));
    }
    // A socket that shares its port would also share it with another server of this user that is there already, so
    // the port is first taken alone.
    let alone = bind(addr, false)?;
    let bound = alone.local_addr()?;
    drop(alone);
    let sockets = (0..shards).map(|_| bind(bound, true)).collect::<io::Result<_>>()?;
    Ok((sockets, bound))
}

fn bind(addr: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
