//! A tap before the socket of one member: passes every connection on and notes who asked for what and how it was answered.
//!
//! It reads heads where they pass and knows nothing of bodies, so it judges by neither side's word. Requests of one connection are
//! answered in their order.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a head's line may be and still be seen; those of Raft's paths are shorter.
const LINE_LEN_MAX: usize = 256;

/// Bytes of an answer that are kept, enough to know a refusal by.
const ANSWER_KEPT: usize = 1024;

/// How long the tap tries to reach its member.
const DIAL_TIME: Duration = Duration::from_secs(1);

/// One request and what became of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange {
    /// As in `GET /raft/stream/message/1`.
    pub(crate) asked: String,
    /// The status; `None` while there is no answer.
    pub(crate) status: Option<u16>,
    /// The beginning of the answer, head and all.
    pub(crate) answer: String,
    /// Bytes of the answer until now, head and all.
    pub(crate) answer_len: usize,
}

/// See the module. Its threads end with it, or soon after.
#[derive(Debug)]
pub(crate) struct Tap {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    target: Mutex<Option<SocketAddr>>,
    exchanges: Mutex<Vec<Exchange>>,
    is_over: AtomicBool,
}

impl Shared {
    fn exchanges(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// A tap that refuses everybody until it has a target.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub(crate) fn open() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the tap does not get a port")?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { addr, shared })
    }

    /// The URL that members are told.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// From now on connections go there.
    pub(crate) fn aim(&self, target: SocketAddr) {
        *self.shared.target() = Some(target);
    }

    /// The requests for this until now; for everything below it, if it ends in a slash.
    pub(crate) fn asked(&self, wanted: &str) -> Vec<Exchange> {
        let is_wanted = |asked: &str| asked == wanted || (wanted.ends_with('/') && asked.starts_with(wanted));
        let exchanges = self.shared.exchanges();
        exchanges.iter().filter(|exchange| is_wanted(&exchange.asked)).cloned().collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // One last connection, so that the listener notices.
        drop(TcpStream::connect_timeout(&self.addr, DIAL_TIME));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for near in listener.incoming() {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        let target = *shared.target();
        let (Ok(near), Some(target)) = (near, target) else { continue };
        let shared = shared.clone();
        thread::spawn(move || {
            let Ok(far) = TcpStream::connect_timeout(&target, DIAL_TIME) else { return };
            // A connection that cannot be split ends, and both sides see that.
            drop(pass(&shared, &near, &far));
        });
    }
}

fn pass(shared: &Arc<Shared>, near: &TcpStream, far: &TcpStream) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    // The exchanges of this connection, by their places in the list of all.
    let places = Arc::new(Mutex::new(Vec::new()));
    let (near_in, far_out) = (near.try_clone()?, far.try_clone()?);
    let (asked, asking) = (places.clone(), shared.clone());
    let requests = thread::spawn(move || {
        let mut heads = Heads::new(b" HTTP/1.1\r\n");
        copy(&near_in, &far_out, |bytes| {
            for line in heads.feed(bytes) {
                note_request(&asking, &asked, &line);
            }
        });
    });
    let (mut heads, mut answered) = (Heads::new(b"\r\n"), 0);
    copy(far, near, |bytes| {
        for line in heads.feed(bytes) {
            answered += usize::from(note_status(shared, (&places, answered), &line));
        }
        note_answer(shared, (&places, answered), bytes);
    });
    drop(requests.join());
    Ok(())
}

type Places = Mutex<Vec<usize>>;

fn place(places: &Places, number: usize) -> Option<usize> {
    places.lock().unwrap_or_else(PoisonError::into_inner).get(number).copied()
}

fn note_request(shared: &Shared, places: &Places, line: &str) {
    let Some(start) = ["GET /", "POST /"].iter().filter_map(|method| line.rfind(method)).max() else {
        return;
    };
    let mut exchanges = shared.exchanges();
    places.lock().unwrap_or_else(PoisonError::into_inner).push(exchanges.len());
    exchanges
        .push(Exchange { asked: line.get(start..).unwrap_or_default().to_owned(), ..Exchange::default() });
}

/// Whether the line is a status, which then belongs to the request of that number.
fn note_status(shared: &Shared, (places, number): (&Places, usize), line: &str) -> bool {
    // What stands before it is the end of the body of the answer before.
    let Some((_, rest)) = line.rsplit_once("HTTP/1.1 ") else { return false };
    let Some(status) = rest.get(..3) else { return false };
    let (Ok(status), Some(place)) = (status.parse(), place(places, number)) else { return false };
    if let Some(exchange) = shared.exchanges().get_mut(place) {
        exchange.status = Some(status);
    }
    true
}

fn note_answer(shared: &Shared, (places, answered): (&Places, usize), bytes: &[u8]) {
    let Some(place) = answered.checked_sub(1).and_then(|number| place(places, number)) else { return };
    if let Some(exchange) = shared.exchanges().get_mut(place) {
        exchange.answer_len += bytes.len();
        let room = ANSWER_KEPT.saturating_sub(exchange.answer.len()).min(bytes.len());
        exchange.answer.push_str(&String::from_utf8_lossy(&bytes[..room]));
    }
}

/// Passes bytes on until either side ends, then ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream, mut note: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len) = from.read(&mut buffer) {
        let bytes = &buffer[..len];
        note(bytes);
        if len == 0 || to.write_all(bytes).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        // One that is closed already is what is wanted.
        drop(stream.shutdown(Shutdown::Both));
    }
}

/// Finds the lines that end with a marker, also where one comes in pieces.
struct Heads {
    marker: &'static [u8],
    rest: Vec<u8>,
}

impl Heads {
    fn new(marker: &'static [u8]) -> Self {
        Self { marker, rest: Vec::new() }
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let (mut lines, mut start) = (Vec::new(), 0);
        while let Some(len) = find(&self.rest[start..], self.marker) {
            let line = &self.rest[start..start + len];
            let line = &line[line.len().saturating_sub(LINE_LEN_MAX)..];
            lines.push(String::from_utf8_lossy(line).into_owned());
            start += len + self.marker.len();
        }
        self.rest.drain(..start.max(self.rest.len().saturating_sub(LINE_LEN_MAX)));
        lines
    }
}

fn find(bytes: &[u8], marker: &[u8]) -> Option<usize> {
    bytes.windows(marker.len()).position(|window| window == marker)
}

#[cfg(test)]
mod tests {
    use super::Heads;

    #[test]
    fn a_line_is_found_however_it_was_split() {
        let text = b"POST /raft HTTP/1.1\r\nhost: a\r\n\r\n\x01\x02GET /raft/probing HTTP/1.1\r\n";
        for len in [1, 7, 1000] {
            let mut heads = Heads::new(b" HTTP/1.1\r\n");
            let lines: Vec<String> = text.chunks(len).flat_map(|piece| heads.feed(piece)).collect();
            assert_eq!(lines.len(), 2, "in pieces of {len}");
            assert!(lines[0].ends_with("POST /raft") && lines[1].ends_with("GET /raft/probing"));
        }
    }
}
