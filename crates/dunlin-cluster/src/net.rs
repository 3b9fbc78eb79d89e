//! How nodes reach each other: over sockets, or inside the process for tests.

use std::fmt;
use std::io;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

mod memory;
mod tcp;

pub use self::memory::MemoryNetwork;
pub use self::tcp::TcpNetwork;

/// What two nodes talk over.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// How nodes reach each other.
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// Listens on `host:port`.
    ///
    /// # Errors
    ///
    /// When it cannot.
    fn listen(&self, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Listening>>>;

    /// Connects from one node, of this name, to `host:port`.
    ///
    /// # Errors
    ///
    /// When nobody is there.
    fn dial(&self, from: &str, addr: &str) -> BoxFuture<'_, io::Result<Box<dyn Io>>>;
}

/// An address that is listened on.
pub trait Listening: Send + 'static {
    /// The address, as `host:port`.
    fn addr(&self) -> String;

    /// The next connection.
    ///
    /// # Errors
    ///
    /// When there is none; there may be later.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Io>>>;
}
