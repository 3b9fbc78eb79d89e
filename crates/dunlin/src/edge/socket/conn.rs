//! A socket, plain or under TLS, as the turn sees it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;
use rustls::ServerConnection;

use super::super::net::Conn;
use super::proxied::Proxied;

/// What reading costs during a TLS handshake, in packets' worth of time.
const HANDSHAKE_COST: u32 = 128;

/// One client's socket.
pub(crate) enum SocketConn {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
    /// A proxy says whose it is before its first byte.
    Proxied(Box<Proxied>),
}

impl SocketConn {
    /// The socket; there is none only while a proxied connection becomes its client's.
    pub(super) fn stream_mut(&mut self) -> Option<&mut TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(tls) => Some(&mut tls.stream),
            Self::Proxied(proxied) => proxied.stream_mut(),
        }
    }
}

impl Conn for SocketConn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
            Self::Proxied(proxied) => proxied.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
            Self::Proxied(proxied) => match proxied.conn_mut() {
                Some(conn) => conn.write(bytes),
                None => Err(io::ErrorKind::NotConnected.into()),
            },
        }
    }

    fn holds_back(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.session.wants_write(),
            Self::Proxied(proxied) => proxied.conn().is_some_and(Self::holds_back),
        }
    }

    fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(false),
            Self::Tls(tls) => tls.send_records(),
            Self::Proxied(proxied) => proxied.conn_mut().map_or(Ok(false), Self::flush),
        }
    }

    fn is_ended(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.is_ended,
            Self::Proxied(proxied) => proxied.conn().is_some_and(Self::is_ended),
        }
    }

    fn read_cost(&self) -> u32 {
        match self {
            // A handshake's signature and key exchange take some hundred microseconds.
            Self::Tls(tls) if tls.session.is_handshaking() => HANDSHAKE_COST,
            Self::Plain(_) | Self::Tls(_) => 0,
            Self::Proxied(proxied) => proxied.conn().map_or(0, Self::read_cost),
        }
    }

    fn shutdown_write(&mut self) {
        match self {
            Self::Plain(_) => {}
            Self::Tls(tls) => {
                tls.session.send_close_notify();
                // The connection is ending; what cannot be sent now is not worth waiting for.
                tls.send_records().ok();
            }
            Self::Proxied(proxied) => {
                if let Some(conn) = proxied.conn_mut() {
                    return conn.shutdown_write();
                }
            }
        }
        if let Some(stream) = self.stream_mut() {
            stream.shutdown(Shutdown::Write).ok();
        }
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr().ok(),
            Self::Tls(tls) => tls.stream.peer_addr().ok(),
            Self::Proxied(proxied) => proxied.peer_addr(),
        }
    }
}

/// A TLS session over a socket; rustls does the work, this moves the records.
pub(crate) struct TlsStream {
    stream: TcpStream,
    session: ServerConnection,
    /// The end, or an error, was met behind plain text that was handed out.
    is_ended: bool,
}

impl TlsStream {
    pub(super) fn new(stream: TcpStream, session: ServerConnection) -> Self {
        Self { stream, session, is_ended: false }
    }

    /// Fills the buffer as far as there is plain text: a short read must mean that nothing is left, as with a socket.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        let outcome = loop {
            let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) else {
                return Ok(filled);
            };
            match self.session.reader().read(room) {
                Ok(0) => break Ok(0),
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.receive_records() {
                    Ok(true) => {}
                    Ok(false) => break Ok(0),
                    Err(error) => break Err(error),
                },
                Err(error) => break Err(error),
            }
        };
        if filled == 0 {
            return outcome;
        }
        self.is_ended = !matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        Ok(filled)
    }

    /// Takes records off the socket; `false` at its end.
    fn receive_records(&mut self) -> io::Result<bool> {
        let outcome = match self.session.read_tls(&mut self.stream) {
            Ok(0) => Ok(false),
            Ok(_) => match self.session.process_new_packets() {
                Ok(_) => Ok(true),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            },
            Err(error) => Err(error),
        };
        // The handshake's answers, or an alert that says why not.
        match self.send_records() {
            Err(error) if outcome.is_ok() => Err(error),
            _ => outcome,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_records()?;
        let len = self.session.writer().write(bytes)?;
        self.send_records()?;
        // The session takes nothing while it holds back as much as it may.
        if len == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(len) }
    }

    /// Puts finished records on the socket as far as they fit, and tells whether any went.
    fn send_records(&mut self) -> io::Result<bool> {
        let mut is_any = false;
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => is_any = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(is_any)
    }
}
