//! The load's sockets: a table of connections on one poll, opened a few at a time, each write and read unbuffered.
//!
//! Knows how a connection gets open (upgrade, handshake, ack) and nothing of the work: a [`Job`] gets the packets
//! and says what to send. All that a job puts into the [`Outbox`] while one read is handled leaves in one write.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dunlin_wire::ws::parse_response;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::dialect::{Dialect, Outbox, Transport, UPGRADE_KEY, kind, put_upgrade_request};
use crate::inbound::{Broken, Inbound, next_packet};

const SCRATCH_LEN: usize = 256 * 1024;
const EVENTS_PER_TURN: usize = 1024;
/// More at once would measure the backlog of the listener.
const CONNECTING_MAX: usize = 100;

/// Ports for [`Source`] start here, below those that the kernel gives out itself: a port that was bound by hand
/// and rests after its connection is closed to all others meanwhile.
const SOURCE_PORT_FIRST: u16 = 10_000;
const SOURCE_PORT_LAST: u16 = 32_000;

/// An address of the loopback to connect from, and the next port on it that was not used yet.
#[derive(Debug)]
struct Source {
    ip: Ipv4Addr,
    next_port: u16,
}

impl Source {
    fn bind(&mut self, socket: &Socket) -> io::Result<()> {
        // A port may still rest from an earlier run, against another server.
        socket.set_reuse_address(true)?;
        while self.next_port < SOURCE_PORT_LAST {
            let addr = SocketAddr::new(IpAddr::V4(self.ip), self.next_port);
            self.next_port += 1;
            match socket.bind(&addr.into()) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }
}

/// A heartbeat is answered when the connection was opened, or answered the last one, this long ago. An answer to
/// every one would never end with a server that answers every one itself.
const HEARTBEAT_PAUSE: Duration = Duration::from_secs(10);

/// What is done over the connections.
pub trait Job {
    /// A packet came on connection `conn`; `now` is the time of the read that brought it.
    fn packet(&mut self, conn: usize, packet: Inbound<'_>, now: Instant, out: &mut Outbox<'_>);
}

/// A job for the time of connecting: it expects nothing.
#[derive(Debug)]
pub struct NoJob;

impl Job for NoJob {
    fn packet(&mut self, _conn: usize, _packet: Inbound<'_>, _now: Instant, _out: &mut Outbox<'_>) {}
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Upgrading,
    Handshaking,
    Open,
    Closed,
}

#[derive(Debug)]
struct Conn {
    stream: Option<TcpStream>,
    stage: Stage,
    tail: Vec<u8>,
    unsent: Vec<u8>,
    heartbeat_at: Instant,
}

/// The table of connections.
#[derive(Debug)]
pub struct Engine {
    poll: Poll,
    target: SocketAddr,
    /// How the load speaks to this server.
    pub dialect: Dialect,
    conns: Vec<Conn>,
    scratch: Vec<u8>,
    out: Vec<u8>,
    source: Option<Source>,
    connecting_count: usize,
    open_count: usize,
    failed_count: usize,
    first_failure: Option<String>,
    deadline: Instant,
}

impl Engine {
    /// A table without connections; everything must be over within `limit`.
    ///
    /// # Errors
    ///
    /// When the system gives no descriptor for the poll.
    pub fn new(target: SocketAddr, dialect: Dialect, limit: Duration) -> Result<Self> {
        Ok(Self {
            poll: Poll::new().context("no poll")?,
            target,
            dialect,
            conns: Vec::new(),
            scratch: vec![0; SCRATCH_LEN],
            out: Vec::new(),
            source: None,
            connecting_count: 0,
            open_count: 0,
            failed_count: 0,
            first_failure: None,
            deadline: Instant::now() + limit,
        })
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open_count
    }

    /// Connections that failed or ended without being asked to.
    #[must_use]
    pub fn failed_count(&self) -> usize {
        self.failed_count
    }

    /// Binds later connections to another loopback address, whose ports are all free.
    pub fn set_source(&mut self, last_octet: u8) {
        self.source = Some(Source { ip: Ipv4Addr::new(127, 0, 0, last_octet), next_port: SOURCE_PORT_FIRST });
    }

    /// Opens `count` more connections and waits until each is ready for messages.
    ///
    /// # Errors
    ///
    /// When one cannot be opened: a run with missing connections measures something else.
    pub fn open(&mut self, count: usize) -> Result<()> {
        let open_goal = self.open_count + count;
        let mut unstarted = count;
        while self.open_count < open_goal {
            while unstarted > 0 && self.connecting_count < CONNECTING_MAX {
                self.start_one().context("cannot start a connection")?;
                unstarted -= 1;
            }
            self.turn(&mut NoJob, Duration::from_millis(100))?;
            if let Some(failure) = &self.first_failure {
                bail!("{} of {open_goal} connections open, then: {failure}", self.open_count);
            }
        }
        Ok(())
    }

    /// Closes every connection.
    pub fn close_all(&mut self) {
        self.conns.clear();
        self.open_count = 0;
        self.connecting_count = 0;
    }

    /// Handles what comes, for `time`.
    ///
    /// # Errors
    ///
    /// When the poll fails or the time limit of the run is over.
    pub fn run_for(&mut self, job: &mut impl Job, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(job, left)?;
        }
    }

    /// Waits at most `timeout` for events and handles them.
    ///
    /// # Errors
    ///
    /// When the poll fails or the time limit of the run is over.
    pub fn turn(&mut self, job: &mut impl Job, timeout: Duration) -> Result<()> {
        if Instant::now() > self.deadline {
            bail!("the run took longer than its limit");
        }
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("poll failed")?,
        }
        for event in &events {
            let index = event.token().0;
            if let Err(failure) = self.handle(index, event.is_writable(), job) {
                self.fail(index, &failure);
            }
        }
        Ok(())
    }

    /// Sends on connection `index` what `fill` puts in, if the connection is open.
    pub fn send(&mut self, index: usize, fill: impl FnOnce(&mut Outbox<'_>)) {
        if self.conns.get(index).is_none_or(|conn| conn.stage != Stage::Open) {
            return;
        }
        let mut bytes = std::mem::take(&mut self.out);
        fill(&mut Outbox { dialect: self.dialect, bytes: &mut bytes });
        let result = self.conns[index].write(&bytes);
        bytes.clear();
        self.out = bytes;
        if let Err(failure) = result {
            self.fail(index, &failure);
        }
    }

    fn start_one(&mut self) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = &mut self.source {
            source.bind(&socket)?;
        }
        if let Err(error) = socket.connect(&self.target.into()) {
            // A connect in progress is reported as an error with a number of its own (EINPROGRESS).
            if error.raw_os_error() != Some(115) && error.kind() != ErrorKind::WouldBlock {
                return Err(error);
            }
        }
        let mut stream = TcpStream::from_std(socket.into());
        let token = Token(self.conns.len());
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.conns.push(Conn::new(Some(stream), Stage::Connecting));
        self.connecting_count += 1;
        Ok(())
    }

    fn handle(&mut self, index: usize, is_writable: bool, job: &mut impl Job) -> io::Result<()> {
        // An event of a connection that was closed meanwhile finds no entry.
        let Some(conn) = self.conns.get_mut(index).filter(|conn| conn.stage != Stage::Closed) else {
            return Ok(());
        };
        if is_writable {
            if conn.stage == Stage::Connecting {
                self.connected(index)?;
            } else {
                conn.flush()?;
            }
        }
        self.read(index, job)
    }

    fn connected(&mut self, index: usize) -> io::Result<()> {
        let (target, dialect) = (self.target, self.dialect);
        let conn = &mut self.conns[index];
        match conn.stream.as_ref().map(TcpStream::take_error) {
            Some(Ok(None)) => {}
            Some(Ok(Some(error)) | Err(error)) => return Err(error),
            None => return Ok(()),
        }
        if dialect.transport == Transport::Ws {
            conn.stage = Stage::Upgrading;
            let mut bytes = Vec::new();
            put_upgrade_request(target, &mut bytes).map_err(io::Error::other)?;
            return conn.write(&bytes);
        }
        self.begin_handshake(index)
    }

    fn begin_handshake(&mut self, index: usize) -> io::Result<()> {
        if self.dialect.is_raw {
            self.opened(index);
            return Ok(());
        }
        let mut bytes = Vec::new();
        Outbox { dialect: self.dialect, bytes: &mut bytes }.put_handshake();
        let conn = &mut self.conns[index];
        conn.stage = Stage::Handshaking;
        conn.write(&bytes)
    }

    fn opened(&mut self, index: usize) {
        self.conns[index].stage = Stage::Open;
        self.connecting_count -= 1;
        self.open_count += 1;
    }

    /// Reads until the socket is empty: the poll reports an edge only once.
    fn read(&mut self, index: usize, job: &mut impl Job) -> io::Result<()> {
        loop {
            let Some(conn) = self.conns.get_mut(index) else { return Ok(()) };
            let Some(stream) = conn.stream.as_mut() else { return Ok(()) };
            let len = match stream.read(&mut self.scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Before the connect is done a read says that there is no connection yet.
                Err(error) if error.kind() == ErrorKind::NotConnected && conn.stage == Stage::Connecting => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            self.received(index, len, job)?;
            if len < SCRATCH_LEN {
                return Ok(());
            }
        }
    }

    fn received(&mut self, index: usize, len: usize, job: &mut impl Job) -> io::Result<()> {
        let tail = std::mem::take(&mut self.conns[index].tail);
        let scratch = std::mem::take(&mut self.scratch);
        let result = if tail.is_empty() {
            self.parse(index, &scratch[..len], job)
        } else {
            let joined = [&tail[..], &scratch[..len]].concat();
            self.parse(index, &joined, job)
        };
        self.scratch = scratch;
        result
    }

    fn parse(&mut self, index: usize, mut input: &[u8], job: &mut impl Job) -> io::Result<()> {
        if self.conns[index].stage == Stage::Upgrading && !self.upgraded(index, &mut input)? {
            return Ok(());
        }
        let now = Instant::now();
        let dialect = self.dialect;
        let mut bytes = std::mem::take(&mut self.out);
        let mut out = Outbox { dialect, bytes: &mut bytes };
        while let Some(packet) =
            next_packet(dialect, &mut input).map_err(|Broken(why)| io::Error::other(why))?
        {
            match packet {
                Inbound::Heartbeat => {
                    let last = &mut self.conns[index].heartbeat_at;
                    if now.saturating_duration_since(*last) > HEARTBEAT_PAUSE {
                        *last = now;
                        out.put_packet(kind::HEARTBEAT, &[], &[]);
                    }
                }
                Inbound::Handshake(body) if self.conns[index].stage == Stage::Handshaking => {
                    if !body.windows(10).any(|window| window == b"\"code\":200") {
                        return Err(io::Error::other("the handshake was refused"));
                    }
                    out.put_packet(kind::ACK, &[], &[]);
                    self.opened(index);
                }
                packet => job.packet(index, packet, now, &mut out),
            }
        }
        let conn = &mut self.conns[index];
        conn.tail.extend_from_slice(input);
        let result = if bytes.is_empty() { Ok(()) } else { conn.write(&bytes) };
        bytes.clear();
        self.out = bytes;
        result
    }

    /// Looks for the answer to the upgrade; false when it is not whole yet.
    fn upgraded(&mut self, index: usize, input: &mut &[u8]) -> io::Result<bool> {
        let parsed = parse_response(input).map_err(io::Error::other)?;
        let Some((head, head_len)) = parsed else {
            self.conns[index].tail.extend_from_slice(input);
            return Ok(false);
        };
        head.check_response(UPGRADE_KEY).map_err(io::Error::other)?;
        *input = input.get(head_len..).unwrap_or_default();
        self.begin_handshake(index)?;
        Ok(true)
    }

    fn fail(&mut self, index: usize, failure: &io::Error) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        match conn.stage {
            Stage::Closed => return,
            Stage::Open => self.open_count -= 1,
            Stage::Connecting | Stage::Upgrading | Stage::Handshaking => self.connecting_count -= 1,
        }
        self.failed_count += 1;
        if self.first_failure.is_none() {
            self.first_failure = Some(format!("connection {index}, {:?}: {failure}", conn.stage));
        }
        *conn = Conn::new(None, Stage::Closed);
    }
}

impl Conn {
    fn new(stream: Option<TcpStream>, stage: Stage) -> Self {
        Self { stream, stage, tail: Vec::new(), unsent: Vec::new(), heartbeat_at: Instant::now() }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return self.flush();
        }
        let sent = self.write_some(bytes)?;
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.unsent);
        let sent = self.write_some(&bytes)?;
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Writes until the socket takes no more, and says how much it took.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stream) = self.stream.as_mut() else { return Ok(bytes.len()) };
        let mut sent = 0;
        while sent < bytes.len() {
            match stream.write(&bytes[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}
