//! A connection that came through a proxy: its header is read before anything else, and says whose it is.
//!
//! The header is read byte for byte as far as it goes and no further, because what follows may be a TLS handshake. Until it is
//! there, the connection is nobody's: the handshake's deadline ends it like any other that says nothing.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dunlin_wire::{PROXY_HEADER_LEN_MAX, ProxyDecoder, ProxyHeader};
use ipnet::IpNet;
use mio::net::TcpStream;

use super::super::net::Conn as _;
use super::ServerTls;
use super::conn::SocketConn;
use super::gate::{AcceptGate, AddressPermit};

/// The proxies whose headers are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Reads addresses and networks, such as `10.0.0.7` and `10.0.0.0/8`; the first that is none, if there is one.
    pub(crate) fn parse(ranges: &[String]) -> Result<Self, String> {
        let parse = |range: &String| {
            let network = range.parse().or_else(|_| range.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| range.clone())
        };
        ranges.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them is there.
    pub(super) fn have(&self, from: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&from.to_canonical()))
    }
}

/// A connection of a listener that is behind proxies.
pub(crate) struct Proxied {
    stage: Stage,
    client: Option<SocketAddr>,
    /// Counts the connection against its client's address.
    _permit: Option<AddressPermit>,
}

enum Stage {
    Header {
        stream: TcpStream,
        decoder: ProxyDecoder,
        tls: Option<Arc<ServerTls>>,
        gate: Arc<AcceptGate>,
    },
    Client(SocketConn),
    /// The header was none, or its client may not come in.
    Over(TcpStream),
    /// Only while one stage becomes the next.
    Between,
}

impl Proxied {
    pub(super) fn new(stream: TcpStream, tls: Option<Arc<ServerTls>>, gate: Arc<AcceptGate>) -> Self {
        let stage = Stage::Header { stream, decoder: ProxyDecoder::new(), tls, gate };
        Self { stage, client: None, _permit: None }
    }

    /// The connection behind the header, once that is read.
    pub(super) fn conn(&self) -> Option<&SocketConn> {
        match &self.stage {
            Stage::Client(conn) => Some(conn),
            _ => None,
        }
    }

    pub(super) fn conn_mut(&mut self) -> Option<&mut SocketConn> {
        match &mut self.stage {
            Stage::Client(conn) => Some(conn),
            _ => None,
        }
    }

    pub(super) fn stream_mut(&mut self) -> Option<&mut TcpStream> {
        match &mut self.stage {
            Stage::Header { stream, .. } | Stage::Over(stream) => Some(stream),
            Stage::Client(conn) => conn.stream_mut(),
            Stage::Between => None,
        }
    }

    /// Where the client is; the proxy, as long as that is not known.
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        self.client.or_else(|| match &self.stage {
            Stage::Header { stream, .. } | Stage::Over(stream) => stream.peer_addr().ok(),
            Stage::Client(conn) => conn.peer_addr(),
            Stage::Between => None,
        })
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.stage, Stage::Header { .. }) && !self.read_header()? {
            return Ok(0);
        }
        match &mut self.stage {
            Stage::Client(conn) => conn.read(buffer),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads on until the header is there; `false` when the stream ended before.
    fn read_header(&mut self) -> io::Result<bool> {
        let mut scratch = [0; PROXY_HEADER_LEN_MAX];
        let header = loop {
            let Stage::Header { stream, decoder, .. } = &mut self.stage else { return Ok(true) };
            let room = scratch.get_mut(..decoder.wanted_len()).unwrap_or_default();
            let len = stream.read(room)?;
            if len == 0 {
                return Ok(false);
            }
            match decoder.decode(&mut room.get(..len).unwrap_or_default()) {
                Ok(Some(header)) => break header,
                Ok(None) => {}
                Err(error) => break self.refuse(io::Error::new(io::ErrorKind::InvalidData, error))?,
            }
        };
        self.let_in(header).map(|()| true)
    }

    fn let_in(&mut self, header: ProxyHeader) -> io::Result<()> {
        let Stage::Header { stream, tls, gate, .. } = std::mem::replace(&mut self.stage, Stage::Between)
        else {
            return Ok(());
        };
        if let ProxyHeader::Client(client) = header {
            let Ok(permit) = gate.admit_address(client.ip()) else {
                gate.turn_away();
                self.stage = Stage::Over(stream);
                return Err(io::Error::new(
                    io::ErrorKind::QuotaExceeded,
                    "the address has too many connections",
                ));
            };
            (self.client, self._permit) = (Some(client), permit);
        }
        self.stage = Stage::Client(match tls {
            None => SocketConn::Plain(stream),
            Some(tls) => tls.accept(stream)?,
        });
        Ok(())
    }

    /// Takes note that nothing is to be read of it any more.
    fn refuse(&mut self, error: io::Error) -> io::Result<ProxyHeader> {
        if let Stage::Header { stream, gate, .. } = std::mem::replace(&mut self.stage, Stage::Between) {
            gate.turn_away();
            self.stage = Stage::Over(stream);
        }
        Err(error)
    }
}
