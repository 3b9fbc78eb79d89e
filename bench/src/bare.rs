//! An echo of ours without the packet protocol: the table and the poll of the gate, TCP bytes or WebSocket frames.
//!
//! It says what sockets, poll and framing alone cost, so that the rest can be told apart: packets, messages, sessions,
//! routes and handlers. One read scratch and one write scratch a shard, one write for everything a read brought.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use dunlin_poll::AwaitablePoll;
use dunlin_wire::ws::{
    Role, WsDecoder, WsEvent, WsLimits, encode_accept, encode_binary, encode_pong, parse_request,
};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::dialect::Transport;

const SCRATCH_LEN: usize = 64 * 1024;
/// Events of one turn, so that the runtime's own timers and tasks would get their share.
const EVENTS_PER_TURN: usize = 128;
const BACKLOG: i32 = 4096;
const LISTENER: Token = Token(usize::MAX);

#[derive(Debug)]
struct Slot {
    stream: TcpStream,
    ws: WsDecoder,
    /// Only while there is something unfinished.
    side: Option<Box<Side>>,
    is_upgraded: bool,
}

#[derive(Debug, Default)]
struct Side {
    /// An upgrade request, or a message that came in pieces.
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

/// One thread's listener and connections.
#[derive(Debug)]
pub struct BareShard {
    poll: AwaitablePoll,
    listener: TcpListener,
    transport: Transport,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

/// Opens a listener that shares its address with the other shards.
///
/// # Errors
///
/// When the address cannot be bound.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

impl BareShard {
    /// A shard on a listener, to be made inside the runtime that will run it.
    ///
    /// # Errors
    ///
    /// When the system gives no poll.
    pub fn new(mut listener: TcpListener, transport: Transport) -> io::Result<Self> {
        let poll = AwaitablePoll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let scratch = vec![0; SCRATCH_LEN];
        Ok(Self { poll, listener, transport, slots: Vec::new(), free: Vec::new(), scratch, out: Vec::new() })
    }

    /// Serves until the poll fails.
    ///
    /// # Errors
    ///
    /// When the poll fails.
    pub async fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            let is_full = std::future::poll_fn(|cx| self.poll.poll_events(cx, &mut events)).await?;
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(index) => self.handle(index, event.is_writable()),
                }
            }
            if is_full {
                tokio::task::yield_now().await;
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let index = self.free.pop().unwrap_or(self.slots.len());
            // A socket that cannot be set up is dropped, which closes it.
            if stream.set_nodelay(true).is_err()
                || self.poll.registry().register(&mut stream, Token(index), Interest::READABLE).is_err()
            {
                continue;
            }
            let slot = Slot {
                stream,
                ws: WsDecoder::new(),
                side: None,
                is_upgraded: self.transport == Transport::Tcp,
            };
            match self.slots.get_mut(index) {
                Some(place) => *place = Some(slot),
                None => self.slots.push(Some(slot)),
            }
        }
    }

    fn handle(&mut self, index: usize, is_writable: bool) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else { return };
        let (scratch, out) = (&mut self.scratch, &mut self.out);
        let result = if is_writable { slot.flush(&self.poll, index) } else { Ok(()) };
        let result = result.and_then(|()| slot.read_all(scratch, out, self.transport, (&self.poll, index)));
        if result.is_err() {
            self.slots[index] = None;
            self.free.push(index);
        }
    }
}

impl Slot {
    fn read_all(
        &mut self,
        scratch: &mut [u8],
        out: &mut Vec<u8>,
        transport: Transport,
        (poll, index): (&AwaitablePoll, usize),
    ) -> io::Result<()> {
        loop {
            let len = match self.stream.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = &mut scratch[..len];
            let sent = if transport == Transport::Tcp {
                self.write(bytes, poll, index)
            } else {
                self.received(bytes, out).and_then(|()| self.write(out, poll, index))
            };
            out.clear();
            sent?;
            if len < SCRATCH_LEN {
                return Ok(());
            }
        }
    }

    fn received(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) -> io::Result<()> {
        if !self.is_upgraded {
            return self.upgrade(bytes, out);
        }
        let mut input = bytes;
        while let Some(event) =
            self.ws.decode(&mut input, Role::Server, &WsLimits::DEFAULT).map_err(io::Error::other)?
        {
            match event {
                WsEvent::Data { bytes, is_end: true, .. } => match self.side.take() {
                    None => encode_binary(out, bytes, None),
                    Some(mut side) => {
                        side.unread.extend_from_slice(bytes);
                        encode_binary(out, &side.unread, None);
                        side.unread = Vec::new();
                        self.side = Some(side).filter(|side| !side.unsent.is_empty());
                    }
                },
                WsEvent::Data { bytes, .. } => {
                    self.side.get_or_insert_default().unread.extend_from_slice(bytes);
                }
                WsEvent::Ping(control) => encode_pong(out, &control, None),
                WsEvent::Pong(_) => {}
                WsEvent::Close(_) => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(())
    }

    fn upgrade(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut side = self.side.take().unwrap_or_default();
        side.unread.extend_from_slice(bytes);
        match parse_request(&side.unread).map_err(io::Error::other)? {
            None => self.side = Some(side),
            Some((head, _)) => {
                head.check_upgrade().map_err(io::Error::other)?;
                encode_accept(head.websocket_key.unwrap_or_default(), out);
                self.is_upgraded = true;
            }
        }
        Ok(())
    }

    /// Sends now what the socket takes; the rest waits for the poll.
    fn write(&mut self, bytes: &[u8], poll: &AwaitablePoll, index: usize) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(side) = self.side.as_mut().filter(|side| !side.unsent.is_empty()) {
            side.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = self.write_some(bytes)?;
        if sent < bytes.len() {
            self.side.get_or_insert_default().unsent.extend_from_slice(&bytes[sent..]);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().reregister(&mut self.stream, Token(index), both)?;
        }
        Ok(())
    }

    fn flush(&mut self, poll: &AwaitablePoll, index: usize) -> io::Result<()> {
        let Some(mut side) = self.side.take() else { return Ok(()) };
        let sent = self.write_some(&side.unsent)?;
        side.unsent.drain(..sent);
        if side.unsent.is_empty() {
            poll.registry().reregister(&mut self.stream, Token(index), Interest::READABLE)?;
        }
        self.side = Some(side).filter(|side| !side.unsent.is_empty() || !side.unread.is_empty());
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}
