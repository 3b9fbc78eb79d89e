//! One open byte stream to a server: what is read becomes packets of the protocol, and packets become bytes to write, with or
//! without WebSocket around them.
//!
//! Invariants: while one waits for input, output is written; bytes of output beyond [`OUTPUT_LEN_HIGH`] only ever come from one
//! message and from what the protocol itself owes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use dunlin_wire::ws::{
    CloseState, CloseStep, Role, WsDecoder, WsEvent, WsLimits, code, encode_binary, encode_close, encode_pong,
};
use dunlin_wire::{ClientProtocol, Millis};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::error::ProtocolFault;
use crate::limits::{OUTPUT_LEN_HIGH, OUTPUT_LEN_KEPT};

/// Any byte stream: TCP, TLS over TCP, or what a test brings.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Why a turn of a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Bytes came: take them with [`Link::feed`].
    Received,
    /// The server sends nothing more.
    Ended,
    /// There is room for output again.
    RoomAgain,
}

/// The server's WebSocket Close.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerClose {
    pub(crate) code: Option<u16>,
    pub(crate) reason: String,
}

/// One open byte stream to a server.
pub(crate) struct Link {
    io: Box<dyn Io>,
    websocket: Option<WebSocket>,
    input: Vec<u8>,
    input_len: usize,
    output: Vec<u8>,
    written_len: usize,
    is_flushed: bool,
    packet: Vec<u8>,
}

/// The state of WebSocket framing.
#[derive(Debug, Default)]
struct WebSocket {
    decoder: WsDecoder,
    close: CloseState,
}

/// Packets have limits of their own, and a server may stream many of them in one message, or none but pings for hours.
const LIMITS: WsLimits =
    WsLimits { message_len_max: u64::MAX, fragments_max: u32::MAX, control_frames_max: u32::MAX };

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("websocket", &self.websocket)
            .field("input_len", &self.input_len)
            .field("waiting_len", &self.waiting_len())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link over an open stream, of which `received` was read already. It reads at most `read_len` bytes at once.
    pub(crate) fn new(io: Box<dyn Io>, is_websocket: bool, received: &[u8], read_len: usize) -> Self {
        let mut input = vec![0; read_len.max(received.len()).max(1)];
        let (front, _) = input.split_at_mut(received.len());
        front.copy_from_slice(received);
        Self {
            io,
            websocket: is_websocket.then(WebSocket::default),
            input,
            input_len: received.len(),
            output: Vec::new(),
            written_len: 0,
            is_flushed: true,
            packet: Vec::new(),
        }
    }

    /// Whether more calls may be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting_len() <= OUTPUT_LEN_HIGH
    }

    /// Writes what waits and reads what comes, until something is worth telling.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read or written is remembered.
    pub(crate) async fn turn(&mut self) -> io::Result<Turn> {
        std::future::poll_fn(|cx| {
            let had_room = self.has_room();
            // Whether all was written matters to nobody: what is left is tried again when the socket says so.
            if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                return Poll::Ready(Err(error));
            }
            if !had_room && self.has_room() {
                return Poll::Ready(Ok(Turn::RoomAgain));
            }
            self.poll_read(cx)
        })
        .await
    }

    /// Hands what was read to the protocol; `Some` when the server's Close was in it.
    pub(crate) fn feed(
        &mut self,
        protocol: &mut ClientProtocol,
        now: Millis,
    ) -> Result<Option<ServerClose>, ProtocolFault> {
        let input_len = std::mem::take(&mut self.input_len);
        let Some(websocket) = &mut self.websocket else {
            protocol.handle_bytes(now, self.input.split_at(input_len).0)?;
            return Ok(None);
        };
        let mut input = self.input.split_at_mut(input_len).0;
        while let Some(event) = websocket.decoder.decode(&mut input, Role::Client, &LIMITS)? {
            match event {
                WsEvent::Data { bytes, .. } => protocol.handle_bytes(now, bytes)?,
                // A Pong may be left out; a server that does not read gets no more of them.
                WsEvent::Ping(ping) if websocket.close.may_send() && self.output.len() <= OUTPUT_LEN_HIGH => {
                    encode_pong(&mut self.output, &ping, Some(mask_key()));
                    self.is_flushed = false;
                }
                WsEvent::Ping(_) | WsEvent::Pong(_) => {}
                WsEvent::Close(close) => {
                    if let CloseStep::Answer { code } = websocket.close.receive(close.as_ref()) {
                        encode_close(&mut self.output, code, "", Some(mask_key()));
                        self.is_flushed = false;
                    }
                    let (code, reason) = close.map(|close| (close.code, close.reason)).unzip();
                    return Ok(Some(ServerClose { code, reason: reason.unwrap_or_default() }));
                }
            }
        }
        Ok(None)
    }

    /// Takes all packets the protocol has to send: over WebSocket each in a message of its own, which old servers need.
    pub(crate) fn transmit(&mut self, protocol: &mut ClientProtocol) {
        if self.written_len > self.output.len() / 2 {
            self.output.drain(..self.written_len);
            self.written_len = 0;
        }
        match &self.websocket {
            None => while protocol.poll_transmit(&mut self.output) {},
            Some(websocket) => {
                while protocol.poll_transmit(&mut self.packet) {
                    if websocket.close.may_send() {
                        encode_binary(&mut self.output, &self.packet, Some(mask_key()));
                    }
                    self.packet.clear();
                }
                self.packet.shrink_to(OUTPUT_LEN_KEPT);
            }
        }
        self.is_flushed &= self.waiting_len() == 0;
    }

    /// Says farewell: sends what waits, the Close of a WebSocket with it, and waits for the server to end. The caller sets the
    /// deadline.
    ///
    /// # Errors
    ///
    /// When the stream broke before, which is no news to somebody who closes it.
    pub(crate) async fn close(&mut self, close_code: u16, reason: &str) -> io::Result<()> {
        if let Some(websocket) = &mut self.websocket
            && websocket.close.send()
        {
            encode_close(&mut self.output, close_code, reason, Some(mask_key()));
            self.is_flushed = false;
        }
        std::future::poll_fn(|cx| self.poll_write(cx)).await?;
        if self.websocket.is_some() {
            // The server closes the connection of a WebSocket first, so that no last bytes are lost.
            while std::future::poll_fn(|cx| self.poll_read(cx)).await? != Turn::Ended {
                self.input_len = 0;
            }
        }
        self.io.shutdown().await
    }

    fn waiting_len(&self) -> usize {
        self.output.len() - self.written_len
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        if self.input_len == 0 {
            let mut buffer = ReadBuf::new(&mut self.input);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            self.input_len = buffer.filled().len();
        }
        Poll::Ready(Ok(if self.input_len == 0 { Turn::Ended } else { Turn::Received }))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting_len() > 0 {
            let waiting = self.output.split_at(self.written_len).1;
            let len = ready!(Pin::new(&mut self.io).poll_write(cx, waiting))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written_len += len;
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_flushed = true;
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_LEN_KEPT);
        self.written_len = 0;
        Poll::Ready(Ok(()))
    }
}

/// A fresh masking key. Masks keep web pages from making a browser write bytes of their choice to a proxy; a program that opens its
/// own sockets can do so anyway, so fast randomness serves as well as strong.
fn mask_key() -> [u8; 4] {
    fastrand::u32(..).to_ne_bytes()
}

/// The close code for a server that broke the protocol.
pub(crate) fn fault_code(fault: &ProtocolFault) -> u16 {
    match fault {
        ProtocolFault::WebSocket(error) => error.close_code(),
        ProtocolFault::Packets(_) => code::PROTOCOL,
    }
}
