//! One connection of a client over TCP. Unlike the client that programs use it hands up every answer, also one that nobody waits for.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dunlin_wire::{
    ACK_PACKET, CAP_ERROR, ClientSys, HEARTBEAT_PACKET, HandshakeRequest, HandshakeResponse, MessageHead,
    PACKET_BODY_LEN_MAX, Packet, PacketDecoder, PacketKind, Route, decode_message, encode_data_packet,
    encode_packet,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long connecting may take, with the handshake: longer than a gate stands still.
const CONNECT_TIME: Duration = Duration::from_secs(12);

/// How long writing a request may take: one that waits for more than a few answers sends none.
const WRITE_TIME: Duration = Duration::from_secs(12);

/// Bytes read at once.
const READ_LEN: usize = 4 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    decoder: PacketDecoder,
    buffer: Vec<u8>,
}

/// What comes from a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    Answer { number: u64, body: Vec<u8> },
    Refusal { number: u64, body: Vec<u8> },
    Push { body: Vec<u8> },
    Kicked,
    Heartbeat,
}

impl Came {
    /// For the reader.
    pub(crate) fn words(&self) -> String {
        let (what, body): (_, &[u8]) = match self {
            Self::Answer { number, body } => (format!("answer {number}"), body),
            Self::Refusal { number, body } => (format!("refusal {number}"), body),
            Self::Push { body } => ("push".to_owned(), body),
            Self::Kicked => ("kick".to_owned(), &[]),
            Self::Heartbeat => ("heartbeat".to_owned(), &[]),
        };
        format!("{what} {}", String::from_utf8_lossy(body))
    }
}

impl Wire {
    /// Connects and shakes hands.
    ///
    /// # Errors
    ///
    /// When the gate does not take the client in time.
    pub(crate) async fn open(addr: SocketAddr) -> Result<Self> {
        timeout(CONNECT_TIME, Self::shake_hands(addr)).await.context("no handshake in time")?
    }

    async fn shake_hands(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut wire = Self { stream, decoder: PacketDecoder::new(), buffer: vec![0; READ_LEN] };
        let (mut body, mut packet) = (Vec::new(), Vec::new());
        // It is told that an answer is a refusal.
        let sys = ClientSys { caps: vec![CAP_ERROR.to_owned()], ..ClientSys::default() };
        HandshakeRequest { sys, ..HandshakeRequest::default() }.encode(&mut body);
        encode_packet(PacketKind::Handshake, &body, &mut packet)?;
        wire.stream.write_all(&packet).await?;
        loop {
            let len = wire.stream.read(&mut wire.buffer).await?;
            ensure!(len > 0, "the gate closed the connection");
            let mut input = wire.buffer.get(..len).unwrap_or_default();
            let Some(packet) = wire.decoder.decode(&mut input, PACKET_BODY_LEN_MAX)? else { continue };
            ensure!(packet.kind == PacketKind::Handshake, "{:?} instead of a handshake", packet.kind);
            ensure!(HandshakeResponse::parse(&packet.body)?.is_ok(), "the gate refuses");
            // It says nothing more before it was acknowledged.
            ensure!(input.is_empty(), "something came right behind the handshake");
            wire.stream.write_all(&ACK_PACKET).await?;
            return Ok(wire);
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// When the connection is broken, or takes nothing.
    pub(crate) async fn ask(&mut self, number: u64, route: &str, body: &[u8]) -> Result<()> {
        let mut packet = Vec::new();
        let head = MessageHead::Request { id: number, route: Route::from(route) };
        encode_data_packet(&head, false, body, PACKET_BODY_LEN_MAX, &mut packet)?;
        self.write(&packet).await
    }

    /// Answers a heartbeat.
    ///
    /// # Errors
    ///
    /// As of [`ask`](Self::ask).
    pub(crate) async fn beat(&mut self) -> Result<()> {
        self.write(&HEARTBEAT_PACKET).await
    }

    async fn write(&mut self, packet: &[u8]) -> Result<()> {
        timeout(WRITE_TIME, self.stream.write_all(packet)).await.context("nothing can be sent")??;
        Ok(())
    }

    /// Waits until something comes; an end is an error.
    ///
    /// # Errors
    ///
    /// When the connection ended, or what came cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Vec<Came>> {
        let len = self.stream.read(&mut self.buffer).await?;
        ensure!(len > 0, "closed");
        let mut input = self.buffer.get(..len).unwrap_or_default();
        let mut came = Vec::new();
        while let Some(packet) = self.decoder.decode(&mut input, PACKET_BODY_LEN_MAX)? {
            came.push(read(&packet)?);
        }
        Ok(came)
    }
}

fn read(packet: &Packet<'_>) -> Result<Came> {
    match packet.kind {
        PacketKind::Data => {}
        PacketKind::Heartbeat => return Ok(Came::Heartbeat),
        PacketKind::Kick => return Ok(Came::Kicked),
        kind => bail!("{kind:?} while working"),
    }
    let message = decode_message(&packet.body)?;
    let body = message.payload.to_vec();
    Ok(match message.head {
        MessageHead::Response { id: number, is_error: false } => Came::Answer { number, body },
        MessageHead::Response { id: number, is_error: true } => Came::Refusal { number, body },
        MessageHead::Push { .. } => Came::Push { body },
        MessageHead::Request { .. } | MessageHead::Notify { .. } => bail!("a gate asks"),
    })
}
