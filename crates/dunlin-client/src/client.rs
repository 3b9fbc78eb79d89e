//! The handle: what a program does with a connection.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_wire::{
    EncodeError, HandshakeResponse, MessageHead, PACKET_HEADER_LEN, ROUTE_LEN_MAX, Route, data_packet_len,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::builder::ClientBuilder;
use crate::error::{ConnectError, NotifyError, RequestError};
use crate::push::Pushes;
use crate::shared::{Command, Request, Shared};
use crate::state::{CloseReason, State, StateWatch};

/// A connection to a server, as a cheap handle: clones share it. It is closed by [`Client::close`] or when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    settings: Settings,
}

/// What handles need of the builder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) request_timeout: Duration,
    pub(crate) push_queue: usize,
    pub(crate) body_len_out_max: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close_asked.notify_one();
    }
}

impl Client {
    pub(crate) fn new(commands: mpsc::Sender<Command>, shared: Arc<Shared>, settings: Settings) -> Self {
        Self { handle: Arc::new(Handle { commands, shared, settings }) }
    }

    /// Connects with the defaults: `ws://host:port/path`, `wss://…`, `tcp://host:port` or `tls://host:port`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says which step failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future closes what was opened.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Everything that can be chosen before connecting.
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// Asks the server, in JSON, within the default time.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; [`RequestError::is_unsent`] says whether the server can have seen the request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the request: an answer that still comes is dropped. The server may have acted.
    pub async fn request<Req, Res>(&self, route: &str, request: &Req) -> Result<Res, RequestError>
    where
        Req: Serialize + ?Sized,
        Res: DeserializeOwned,
    {
        self.request_timeout(route, request, self.handle.settings.request_timeout).await
    }

    /// As [`Client::request`], within a time of its own.
    ///
    /// # Errors
    ///
    /// As [`Client::request`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::request`].
    pub async fn request_timeout<Req, Res>(
        &self,
        route: &str,
        request: &Req,
        timeout: Duration,
    ) -> Result<Res, RequestError>
    where
        Req: Serialize + ?Sized,
        Res: DeserializeOwned,
    {
        let payload = serde_json::to_vec(request).map_err(RequestError::Serialize)?;
        let answer = self.request_raw_timeout(route, payload, timeout).await?;
        // An empty answer, which some servers send for "done", says as much as null.
        let answer: &[u8] = if answer.is_empty() { b"null" } else { &answer };
        serde_json::from_slice(answer)
            .map_err(|source| RequestError::Deserialize { route: route.to_owned(), source })
    }

    /// Asks the server with bytes of any kind, within the default time.
    ///
    /// # Errors
    ///
    /// As [`Client::request`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::request`].
    pub async fn request_raw(&self, route: &str, payload: impl Into<Bytes>) -> Result<Bytes, RequestError> {
        self.request_raw_timeout(route, payload, self.handle.settings.request_timeout).await
    }

    /// As [`Client::request_raw`], within a time of its own.
    ///
    /// # Errors
    ///
    /// As [`Client::request`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::request`].
    pub async fn request_raw_timeout(
        &self,
        route: &str,
        payload: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        let deadline = Instant::now() + timeout;
        let (reply, outcome) = oneshot::channel();
        let request = Request { route: route.to_owned(), payload: payload.into(), timeout, deadline, reply };
        match timeout_at(deadline, self.handle.commands.send(Command::Request(request))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(self.gone()),
            Err(_) => return Err(RequestError::TimedOut { timeout }),
        }
        match timeout_at(deadline, outcome).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(self.gone()),
            Err(_) => Err(RequestError::TimedOut { timeout }),
        }
    }

    /// Tells the server something that wants no answer, in JSON. It is on its way when this returns, but a connection that drops
    /// may take it along.
    ///
    /// # Errors
    ///
    /// [`NotifyError`] when it was not sent.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is sent unless the future is finished.
    pub async fn notify<T: Serialize + ?Sized>(&self, route: &str, value: &T) -> Result<(), NotifyError> {
        let payload = serde_json::to_vec(value).map_err(NotifyError::Serialize)?;
        self.notify_raw(route, payload).await
    }

    /// As [`Client::notify`], with bytes of any kind.
    ///
    /// # Errors
    ///
    /// As [`Client::notify`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::notify`].
    pub async fn notify_raw(&self, route: &str, payload: impl Into<Bytes>) -> Result<(), NotifyError> {
        let payload = payload.into();
        self.check_notification(route, payload.len())?;
        let timeout = self.handle.settings.request_timeout;
        let command = Command::Notify { route: route.to_owned(), payload };
        match timeout_at(Instant::now() + timeout, self.handle.commands.send(command)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(NotifyError::Closed { reason: self.close_reason() }),
            Err(_) => Err(NotifyError::TimedOut { timeout }),
        }
    }

    /// Listens to the pushes of one route from now on. [`ClientBuilder::subscribe`] does so before the first can come.
    #[must_use]
    pub fn subscribe(&self, route: &str) -> Pushes {
        let Handle { shared, settings, .. } = &*self.handle;
        shared.subscriptions.subscribe(Some(route), settings.push_queue)
    }

    /// As [`Client::subscribe`], to every route.
    #[must_use]
    pub fn subscribe_all(&self) -> Pushes {
        let Handle { shared, settings, .. } = &*self.handle;
        shared.subscriptions.subscribe(None, settings.push_queue)
    }

    /// The last measured time to the server and back: of the handshake at first, of heartbeats later.
    /// Servers that do not answer heartbeats, as nano, leave it without meaning.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.handle.shared.round_trip()
    }

    /// The server's last answer to our handshake, with what it says of itself and to the user.
    #[must_use]
    pub fn handshake(&self) -> Arc<HandshakeResponse> {
        self.handle.shared.handshake()
    }

    /// How the client is now.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.shared.state.borrow().clone()
    }

    /// Follows drops and reconnects.
    #[must_use]
    pub fn watch_state(&self) -> StateWatch {
        StateWatch::new(self.handle.shared.state.subscribe())
    }

    /// Waits for the end, and says why it came.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only looks.
    pub async fn closed(&self) -> CloseReason {
        let mut states = self.handle.shared.state.subscribe();
        // Fails only if the sender were gone, which this handle holds.
        let _closed = states.wait_for(|state| matches!(state, State::Closed { .. })).await;
        self.close_reason()
    }

    /// Closes the connection: what was asked before still goes out, requests under way fail with [`RequestError::Disconnected`],
    /// and the server is told. Returns when that is done, within about a second.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing: the connection closes all the same.
    pub async fn close(&self) {
        self.handle.shared.close_asked.notify_one();
        self.closed().await;
    }

    fn check_notification(&self, route: &str, payload_len: usize) -> Result<(), NotifyError> {
        let Handle { shared, settings, .. } = &*self.handle;
        match &*shared.state.borrow() {
            State::Connected { .. } => {}
            State::Closed { reason } => return Err(NotifyError::Closed { reason: reason.clone() }),
            State::Connecting | State::Reconnecting { .. } => return Err(NotifyError::NotConnected),
        }
        check_len(route, payload_len, settings.body_len_out_max).map_err(NotifyError::TooLong)
    }

    /// Why the task did not take a request, or dropped it unsent.
    fn gone(&self) -> RequestError {
        match self.close_reason() {
            // The task was dropped with everything in it, and some of that was sent.
            CloseReason::RuntimeGone => RequestError::Disconnected,
            reason => RequestError::Closed { reason },
        }
    }

    fn close_reason(&self) -> CloseReason {
        self.handle.shared.close_reason().unwrap_or(CloseReason::RuntimeGone)
    }
}

/// Refuses a notification that could not be encoded, where its sender still hears of it.
fn check_len(route: &str, payload_len: usize, body_len_max: usize) -> Result<(), EncodeError> {
    let route_len = route.len();
    if route_len > ROUTE_LEN_MAX {
        return Err(EncodeError::RouteTooLong { route_len });
    }
    let head = MessageHead::Notify { route: Route::Name(Cow::Borrowed(route)) };
    let body_len = data_packet_len(&head, payload_len) - PACKET_HEADER_LEN;
    if body_len > body_len_max {
        return Err(EncodeError::BodyTooLong { body_len, body_len_max });
    }
    Ok(())
}
