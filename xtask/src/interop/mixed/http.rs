//! An HTTP client for members: one request at a time on a connection that is kept, in bounded time. It follows nothing, retries
//! nothing, and knows bodies of announced length alone, which is what members answer with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long an answer may take: longer than members let a request take.
const ANSWER_TIME: Duration = Duration::from_secs(8);

/// How long a dial over loopback may take.
const DIAL_TIME: Duration = Duration::from_secs(2);

/// Bytes of an answer: the listing of a whole store.
const BODY_LEN_MAX: usize = 64 << 20;

/// A client of one member.
#[derive(Debug)]
pub(crate) struct Client {
    addr: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// What a member answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) const fn new(addr: SocketAddr) -> Self {
        Self { addr, stream: None }
    }

    /// Dials where no connection is open.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub(crate) fn open(&mut self) -> Result<()> {
        if self.stream.is_none() {
            self.stream = Some(dial(self.addr)?);
        }
        Ok(())
    }

    /// Asks, and dials first where no connection is open.
    ///
    /// # Errors
    ///
    /// When there is no answer in time. What was asked for may have been done.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Answer> {
        self.open()?;
        let mut stream = self.stream.take().context("a connection was just opened")?;
        let what = || format!("{method} {path} at {}", self.addr);
        let len = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {len}\r\n\r\n{body}", self.addr);
        stream.get_mut().write_all(request.as_bytes()).with_context(what)?;
        let (answer, is_kept) = read(&mut stream).with_context(what)?;
        self.stream = is_kept.then_some(stream);
        Ok(answer)
    }
}

fn dial(addr: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream =
        TcpStream::connect_timeout(&addr, DIAL_TIME).with_context(|| format!("cannot dial {addr}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    stream.set_write_timeout(Some(ANSWER_TIME))?;
    Ok(BufReader::new(stream))
}

/// One answer, and whether another one may follow on its connection.
fn read(stream: &mut impl BufRead) -> Result<(Answer, bool)> {
    let status = line(stream)?;
    let status: u16 = status.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
    let (mut body_len, mut is_kept) = (None, true);
    loop {
        let header = line(stream)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').context("a header without a colon")?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body_len = value.trim().parse::<usize>().ok(),
            "connection" => is_kept = !value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let body_len = match body_len {
        Some(len) => len,
        None if status == 204 => 0,
        None => bail!("an answer {status} does not say its length"),
    };
    ensure!(body_len <= BODY_LEN_MAX, "a body of {body_len} bytes is over the limit of {BODY_LEN_MAX}");
    let mut body = vec![0; body_len];
    stream.read_exact(&mut body)?;
    Ok((Answer { status, body }, is_kept))
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    // A member's lines are short; what is longer is none of a member's.
    stream.by_ref().take(8 * 1024).read_line(&mut line)?;
    ensure!(line.ends_with('\n'), "the connection ended");
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        let mut two: &[u8] =
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 204 No Content\r\n\r\n";
        let (first, is_kept) = read(&mut two).unwrap();
        assert_eq!((first.status, first.text().as_str(), is_kept), (200, "one", true));
        let (second, _) = read(&mut two).unwrap();
        assert_eq!((second.status, second.body.len(), two.len()), (204, 0, 0));
        assert!(read(&mut two).is_err());
    }

    #[test]
    fn a_connection_that_is_to_be_closed_is_not_kept() {
        let mut last: &[u8] = b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let (answer, is_kept) = read(&mut last).unwrap();
        assert_eq!((answer.status, is_kept), (503, false));
    }
}
