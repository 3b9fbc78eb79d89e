//! A client of one member: one request at a time on a connection that is kept, in bounded time. It follows nothing and repeats
//! nothing: what a member says is what is judged.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use ureq::http::{Request, Response};
use ureq::{Agent, Body, Error, Timeout};

/// How long an answer may take: longer than members let a request take.
const ANSWER_TIME: Duration = Duration::from_secs(8);

/// How long a dial over loopback may take.
const DIAL_TIME: Duration = Duration::from_secs(2);

/// Bytes of an answer: the listing of a whole store.
const BODY_LEN_MAX: u64 = 64 << 20;

/// A client of one member.
#[derive(Debug)]
pub(crate) struct Client {
    addr: SocketAddr,
    agent: Agent,
}

/// What a member answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens: what was asked for was not done.
    #[error("cannot dial {addr}")]
    Dial { addr: SocketAddr, source: Box<Error> },
    /// There was none in time. What was asked for may have been done.
    #[error("{what} has no answer")]
    Answer { what: String, source: Box<Error> },
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self::with_time(addr, ANSWER_TIME)
    }

    /// One that waits so long for an answer.
    pub(crate) fn with_time(addr: SocketAddr, answer_time: Duration) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(DIAL_TIME.min(answer_time)))
            .timeout_global(Some(answer_time));
        Self { addr, agent: config.build().into() }
    }

    /// Asks, and dials first where no connection is open.
    ///
    /// # Errors
    ///
    /// When there is no answer in time.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answer, AskError> {
        self.send(method, path, body).and_then(read).map_err(|error| {
            let addr = self.addr;
            match error {
                Error::Io(ref io) if io.kind() == ErrorKind::ConnectionRefused => {
                    AskError::Dial { addr, source: Box::new(error) }
                }
                Error::Timeout(Timeout::Connect) => AskError::Dial { addr, source: Box::new(error) },
                _ => AskError::Answer { what: format!("{method} {path} at {addr}"), source: Box::new(error) },
            }
        })
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Result<Response<Body>, Error> {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.addr));
        if body.is_empty() { self.agent.run(request.body(())?) } else { self.agent.run(request.body(body)?) }
    }
}

fn read(mut response: Response<Body>) -> Result<Answer, Error> {
    let body = response.body_mut().with_config().limit(BODY_LEN_MAX).read_to_vec()?;
    Ok(Answer { status: response.status().as_u16(), body })
}
