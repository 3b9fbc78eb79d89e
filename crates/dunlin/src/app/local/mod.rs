//! A client inside the process: the whole path of a message without sockets, for tests that may pause time.

mod driver;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use self::driver::{Command, Driver};
use crate::edge::MemoryPipe;
use crate::event::Event;
use crate::serializer::{DeserializeError, SerializeError, SerializerKind};

/// Pushes that wait to be taken; a client that takes none is a slow client from there on.
const PUSHES_MAX: usize = 1024;
/// Commands that wait for the client's task.
const COMMANDS_MAX: usize = 64;
/// How long [`LocalClient::expect`] waits.
const EXPECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A push that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Push {
    /// The route it was pushed under.
    pub route: String,
    /// Its payload.
    pub body: Bytes,
}

/// Why a request of a [`LocalClient`] has no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server answered with an error.
    #[error("the server answered {code}: {message}")]
    Server {
        /// The error's code.
        code: u32,
        /// Its message.
        message: String,
        /// Its details, if any.
        details: Option<serde_json::Value>,
    },
    /// No answer came in time.
    #[error("no answer came in time")]
    TimedOut,
    /// The connection is over.
    #[error("the connection is over")]
    Closed,
    /// The client may not send this now.
    #[error("the message cannot be sent")]
    Send(#[from] dunlin_wire::SendError),
    /// The message could not be written.
    #[error("the message cannot be serialised")]
    Serialize(#[from] SerializeError),
    /// The answer could not be read.
    #[error("the answer cannot be read")]
    Deserialize(#[from] DeserializeError),
}

/// Why a client was not let in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The application refused it.
    #[error("refused with code {code}")]
    Refused {
        /// The refusal's code.
        code: u16,
        /// Its message, if any.
        message: Option<String>,
    },
    /// The connection ended during the handshake, or the server is not running.
    #[error("the connection ended during the handshake")]
    Closed,
    /// The application could not be started.
    #[error("the application could not be started")]
    Start(#[from] super::StartError),
}

/// Why [`LocalClient::expect`] has no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectError {
    /// None came within five seconds.
    #[error("no push on `{route}` within five seconds")]
    TimedOut {
        /// The route waited for.
        route: &'static str,
    },
    /// The connection ended first.
    #[error("the connection ended before a push on `{route}`")]
    Closed {
        /// The route waited for.
        route: &'static str,
    },
    /// It came and could not be read.
    #[error("the push cannot be read")]
    Deserialize(#[from] DeserializeError),
}

/// How a connection ended, as the client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalEnd {
    /// The server kicked the client.
    Kicked {
        /// The reason it gave.
        reason: String,
    },
    /// The server ended the connection, or the client did.
    Closed,
}

/// A client connected inside the process. Dropping it ends its connection.
pub struct LocalClient {
    commands: mpsc::Sender<Command>,
    pushes: Mutex<mpsc::Receiver<Push>>,
    end: watch::Receiver<Option<LocalEnd>>,
    serializer: SerializerKind,
    welcome: Arc<dunlin_wire::HandshakeResponse>,
}

impl LocalClient {
    /// Shakes hands over `pipe`.
    pub(super) async fn connect(
        pipe: MemoryPipe,
        config: dunlin_wire::ClientConfig,
        serializer: SerializerKind,
    ) -> Result<Self, ConnectError> {
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (push_sink, pushes) = mpsc::channel(PUSHES_MAX);
        let (end_sink, end) = watch::channel(None);
        let (connected, welcome) = oneshot::channel();
        let driver = Driver::new(pipe, config, connected).map_err(|_| ConnectError::Closed)?;
        tokio::spawn(driver.run(command_queue, push_sink, end_sink));
        let welcome = welcome.await.map_err(|_| ConnectError::Closed)??;
        Ok(Self { commands, pushes: Mutex::new(pushes), end, serializer, welcome: Arc::new(welcome) })
    }

    /// The server's answer to the handshake.
    #[must_use]
    pub fn welcome(&self) -> &dunlin_wire::HandshakeResponse {
        &self.welcome
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`CallError`]: the server's own error, no answer in time, or a connection that is over.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the request may have been served; its answer is ignored.
    pub async fn request<T: DeserializeOwned>(
        &self,
        route: &str,
        body: impl Serialize,
    ) -> Result<T, CallError> {
        let mut bytes = Vec::new();
        self.serializer.serialize(&body, &mut bytes)?;
        let answer = self.request_raw(route, bytes).await?;
        Ok(self.serializer.deserialize(&answer)?)
    }

    /// Sends a request of bytes and waits for the bytes of its answer.
    ///
    /// # Errors
    ///
    /// As [`LocalClient::request`].
    ///
    /// # Cancel safety
    ///
    /// As [`LocalClient::request`].
    pub async fn request_raw(&self, route: &str, body: impl Into<Bytes>) -> Result<Bytes, CallError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Request { route: route.to_owned(), body: body.into(), answer };
        self.commands.send(command).await.map_err(|_| CallError::Closed)?;
        answered.await.map_err(|_| CallError::Closed)?
    }

    /// Sends a notify.
    ///
    /// # Errors
    ///
    /// [`CallError`] when it cannot be sent; whether it was served nobody says.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the notify may have been sent.
    pub async fn notify(&self, route: &str, body: impl Serialize) -> Result<(), CallError> {
        let mut bytes = Vec::new();
        self.serializer.serialize(&body, &mut bytes)?;
        self.notify_raw(route, bytes).await
    }

    /// Sends a notify of bytes.
    ///
    /// # Errors
    ///
    /// As [`LocalClient::notify`].
    ///
    /// # Cancel safety
    ///
    /// As [`LocalClient::notify`].
    pub async fn notify_raw(&self, route: &str, body: impl Into<Bytes>) -> Result<(), CallError> {
        let (sent, is_sent) = oneshot::channel();
        let command = Command::Notify { route: route.to_owned(), body: body.into(), sent };
        self.commands.send(command).await.map_err(|_| CallError::Closed)?;
        is_sent.await.map_err(|_| CallError::Closed)?
    }

    /// The next push; `None` when the connection is over and all that came was taken.
    ///
    /// # Cancel safety
    ///
    /// No push is lost.
    pub async fn next_push(&self) -> Option<Push> {
        self.pushes.lock().await.recv().await
    }

    /// A push that is there already.
    #[must_use]
    pub fn try_push(&self) -> Option<Push> {
        self.pushes.try_lock().ok()?.try_recv().ok()
    }

    /// Waits, five seconds at most, for the next push of an event's route; those of other routes are passed over.
    ///
    /// # Errors
    ///
    /// [`ExpectError`] when none comes or it cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Pushes passed over are gone.
    pub async fn expect<E: Event + DeserializeOwned>(&self) -> Result<E, ExpectError> {
        let route = E::ROUTE;
        let next = async {
            while let Some(push) = self.next_push().await {
                if push.route == route {
                    return Ok(self.serializer.deserialize(&push.body)?);
                }
            }
            Err(ExpectError::Closed { route })
        };
        tokio::time::timeout(EXPECT_TIMEOUT, next).await.unwrap_or(Err(ExpectError::TimedOut { route }))
    }

    /// Waits for the end of the connection.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub async fn closed(&self) -> LocalEnd {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| end.clone()).unwrap_or(LocalEnd::Closed)
    }

    /// Ends the connection.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the connection may or may not end.
    pub async fn close(self) {
        // An error means that it is over already.
        self.commands.send(Command::Close).await.ok();
    }
}

impl std::fmt::Debug for LocalClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalClient").field("end", &*self.end.borrow()).finish_non_exhaustive()
    }
}
