//! Plays a golden script over TCP: sends its bytes, reads whole packets, compares.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::{Action, Claim};

/// How long any one packet may take to come.
const STEP_TIME: Duration = Duration::from_secs(4);

/// The longest packet body that is read: no script expects nearly as much.
const BODY_LEN_MAX: usize = 1 << 20;

const HEADER_LEN: usize = 4;
const HEARTBEAT: u8 = 3;

/// Plays one claim over a connection of its own.
///
/// # Errors
///
/// What the server did otherwise, and at which line.
pub(crate) fn play(claim: &Claim, server: SocketAddr) -> Result<String> {
    let mut connection = TcpStream::connect_timeout(&server, STEP_TIME).context("cannot connect")?;
    connection.set_nodelay(true)?;
    connection.set_write_timeout(Some(STEP_TIME))?;
    for step in &claim.steps {
        let done = match &step.action {
            Action::Send(writes) => writes
                .iter()
                .try_for_each(|bytes| connection.write_all(bytes))
                .context("the server takes no more bytes"),
            Action::Expect(pattern) => next_packet(&mut connection, !pattern.asks_for(HEARTBEAT))
                .and_then(|packet| packet.ok_or_else(|| anyhow!("the server ended the connection")))
                .and_then(|packet| pattern.compare(&packet).map_err(anyhow::Error::msg)),
            Action::ExpectEnd => match next_packet(&mut connection, true) {
                Ok(Some(packet)) => Err(anyhow!("a packet came after the last: {}", super::hex(&packet))),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            },
        };
        done.with_context(|| format!("line {}", step.line))?;
    }
    Ok(format!("{} steps", claim.steps.len()))
}

/// The next whole packet, with its header; `None` at the end of the connection.
fn next_packet(connection: &mut TcpStream, skips_heartbeats: bool) -> Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + STEP_TIME;
    loop {
        let mut packet = vec![0; HEADER_LEN];
        if !fill(connection, &mut packet, deadline)? {
            return Ok(None);
        }
        let [packet_type, len @ ..] =
            *packet.first_chunk::<HEADER_LEN>().context("a header is four bytes")?;
        let body_len = len.iter().fold(0, |body_len, byte| body_len << 8 | usize::from(*byte));
        if body_len > BODY_LEN_MAX {
            bail!("a packet of {body_len} bytes");
        }
        let mut body = vec![0; body_len];
        if !fill(connection, &mut body, deadline)? {
            bail!("the connection ended inside a packet");
        }
        packet.extend_from_slice(&body);
        if !(skips_heartbeats && packet_type == HEARTBEAT) {
            return Ok(Some(packet));
        }
    }
}

/// Fills the buffer; `false` when the connection ended before its first byte. A reset counts as an end.
fn fill(connection: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> Result<bool> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        connection.set_read_timeout(Some(left))?;
        match connection.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => bail!("the connection ended inside a packet"),
            Ok(len) => filled += len,
            Err(error) if error.kind() == ErrorKind::ConnectionReset && filled == 0 => return Ok(false),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("nothing came within {STEP_TIME:?}");
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read"),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::play;
    use crate::golden::Script;

    /// Plays a script of one claim against a server that reads one heartbeat packet, sends `answer` and leaves.
    fn played(script: &str, answer: &'static [u8]) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut heartbeat = [0; 4];
            socket.read_exact(&mut heartbeat).unwrap();
            socket.write_all(answer).unwrap();
        });
        let script = Script::parse(script).unwrap();
        let result = play(&script.claims[0], addr).map_err(|error| format!("{error:#}"));
        server.join().unwrap();
        result
    }

    const KICKED: &str = "== kick on plain\n> 03 000000\n< 05 000002 7b7d\n< end\n";

    #[test]
    fn heartbeats_are_skipped_where_none_is_asked_for() {
        assert_eq!(played(KICKED, b"\x03\0\0\0\x05\0\0\x02{}\x03\0\0\0"), Ok("3 steps".to_owned()));
        let beats = "== beat on plain\n> 03 000000\n< 03 000000\n< 03 000000\n< end\n";
        assert_eq!(played(beats, b"\x03\0\0\0\x03\0\0\0"), Ok("4 steps".to_owned()));
    }

    #[test]
    fn a_server_that_answers_otherwise_fails_at_its_line() {
        let ended = played(KICKED, b"").unwrap_err();
        assert_eq!(ended, "line 3: the server ended the connection");
        let other = played(KICKED, b"\x05\0\0\x02[]").unwrap_err();
        assert_eq!(other, "line 3: byte 4 differs in 050000025b5d");
        let late = played(KICKED, b"\x05\0\0\x02{}\x05\0\0\x02{}").unwrap_err();
        assert_eq!(late, "line 4: a packet came after the last: 050000027b7d");
        let cut = played(KICKED, b"\x05\0\0\x02{").unwrap_err();
        assert_eq!(cut, "line 3: the connection ended inside a packet");
        let vast = played(KICKED, b"\x05\xff\xff\xff").unwrap_err();
        assert_eq!(vast, "line 3: a packet of 16777215 bytes");
    }
}
