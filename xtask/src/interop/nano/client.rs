//! A client of a gate of nano, over TCP: just enough of the protocol to ask, say and hear. nano 0.5.0 takes no message without a body.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

const HANDSHAKE: u8 = 1;
const HANDSHAKE_ACK: u8 = 2;
const HEARTBEAT: u8 = 3;
const DATA: u8 = 4;

const REQUEST: u8 = 0;
const NOTIFY: u8 = 1;
const RESPONSE: u8 = 2;

/// Longer packets are none of these tests.
const BODY_LEN_MAX: usize = 1 << 20;

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Response { id: u64, body: String },
    Push { body: String },
}

/// A client. Dropped, its connection ends.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    told: mpsc::Receiver<Said>,
    kept: Vec<Said>,
    last_id: u64,
}

impl Client {
    /// Connects, and shakes hands.
    ///
    /// # Errors
    ///
    /// When the gate does not let it in.
    pub(crate) fn connect(addr: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(addr).context("the gate is not reached")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write_packet(&mut stream, HANDSHAKE, br#"{"sys":{"type":"test","version":"1"}}"#)?;
        let (kind, _) = read_packet(&mut stream)?;
        ensure!(kind == HANDSHAKE, "the gate answers the handshake with a packet of type {kind}");
        write_packet(&mut stream, HANDSHAKE_ACK, &[])?;
        stream.set_read_timeout(None)?;
        let (tell, told) = mpsc::channel();
        let reader = stream.try_clone()?;
        // It ends with the connection; what it has heard until then can still be read.
        thread::spawn(move || drop(listen(reader, &tell)));
        Ok(Self { stream, told, kept: Vec::new(), last_id: 0 })
    }

    /// Asks something, and says under which number.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub(crate) fn ask(&mut self, route: &str, body: &str) -> Result<u64> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = vec![REQUEST << 1];
        let mut rest = id;
        while rest >= 0x80 {
            message.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        message.push(rest as u8);
        self.send(message, route, body)?;
        Ok(id)
    }

    /// Says something.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub(crate) fn notify(&mut self, route: &str, body: &str) -> Result<()> {
        self.send(vec![NOTIFY << 1], route, body)
    }

    fn send(&mut self, mut message: Vec<u8>, route: &str, body: &str) -> Result<()> {
        message.push(u8::try_from(route.len())?);
        message.extend_from_slice(route.as_bytes());
        message.extend_from_slice(body.as_bytes());
        write_packet(&mut self.stream, DATA, &message)
    }

    /// Waits for the answer to a question; `None` when it does not come in time.
    pub(crate) fn answer(&mut self, id: u64, limit: Duration) -> Option<String> {
        let is_it = |said: &Said| matches!(said, Said::Response { id: other, .. } if *other == id);
        match self.wait(limit, is_it)? {
            Said::Response { body, .. } | Said::Push { body } => Some(body),
        }
    }

    /// Waits for the next push; `None` when none comes in time.
    pub(crate) fn push(&mut self, limit: Duration) -> Option<String> {
        match self.wait(limit, |said| matches!(said, Said::Push { .. }))? {
            Said::Response { body, .. } | Said::Push { body } => Some(body),
        }
    }

    fn wait(&mut self, limit: Duration, is_it: impl Fn(&Said) -> bool) -> Option<Said> {
        if let Some(place) = self.kept.iter().position(&is_it) {
            return Some(self.kept.remove(place));
        }
        let deadline = Instant::now() + limit;
        loop {
            let said = self.told.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
            if is_it(&said) {
                return Some(said);
            }
            self.kept.push(said);
        }
    }

    /// Waits for the gate to end the connection. Whether it has in time.
    pub(crate) fn is_ended(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            match self.told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(error) => return error == mpsc::RecvTimeoutError::Disconnected,
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The reader has a clone, which would keep it open. One that is over is no fault.
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

fn listen(mut stream: TcpStream, tell: &mpsc::Sender<Said>) -> Result<()> {
    loop {
        let (kind, body) = read_packet(&mut stream)?;
        match kind {
            HEARTBEAT => write_packet(&mut stream, HEARTBEAT, &[])?,
            DATA => tell.send(read_message(&body)?)?,
            _ => {}
        }
    }
}

fn read_message(message: &[u8]) -> Result<Said> {
    let (flag, mut rest) = message.split_first().context("an empty message")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if (flag >> 1) & 7 == RESPONSE {
        let mut id = 0;
        for shift in (0..64).step_by(7) {
            let (byte, more) = rest.split_first().context("a message that is cut off")?;
            rest = more;
            id |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(Said::Response { id, body: text(rest) });
            }
        }
        bail!("a number without an end");
    }
    let (route_len, rest) = rest.split_first().context("a message without a route")?;
    Ok(Said::Push { body: text(rest.get(usize::from(*route_len)..).context("a route that is cut off")?) })
}

fn write_packet(stream: &mut TcpStream, kind: u8, body: &[u8]) -> Result<()> {
    let [_, a, b, c] = u32::try_from(body.len())?.to_be_bytes();
    let packet = [&[kind, a, b, c], body].concat();
    stream.write_all(&packet).context("the gate is gone")
}

fn read_packet(stream: &mut TcpStream) -> Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let [kind, a, b, c] = head;
    let len = usize::try_from(u32::from_be_bytes([0, a, b, c]))?;
    ensure!(len <= BODY_LEN_MAX, "a packet of {len} bytes");
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

#[cfg(test)]
mod tests {
    use super::{Said, read_message};

    #[test]
    fn messages_are_read_as_they_are_written_and_broken_ones_are_none() {
        let response = Said::Response { id: 300, body: "ok".to_owned() };
        assert_eq!(read_message(b"\x04\xac\x02ok").unwrap(), response);
        assert_eq!(read_message(b"\x06\x03onXhi").unwrap(), Said::Push { body: "hi".to_owned() });
        assert!(
            read_message(b"").is_err()
                && read_message(b"\x04\xff").is_err()
                && read_message(b"\x06\x09a").is_err()
        );
    }
}
