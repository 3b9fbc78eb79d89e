//! One connection outside of any pool: Go's `ClientConn`.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::body::{RequestBody, ResponseBody};
use crate::config::{Protocol, Settings};
use crate::conn::{Conn, ConnInfo, Home, Lease, Sender, open};
use crate::dial::{Dialer, Order};
use crate::error::{Error, ErrorKind, LimitKind};
use crate::limits::HTTP2_STREAMS_BEFORE_SETTINGS;
use crate::pool::{ConnId, Reuse};
use crate::round_trip::RoundTripper;
use crate::stats::CloseCause;
use crate::transport::exchange::exchange;
use crate::transport::plan::Plan;

/// A connection of one's own, from [`Transport::client_conn`](crate::Transport::client_conn): no pool, no limit, no
/// retry. It ends when it is dropped, closed, or left by its peer.
///
/// HTTP/1 takes one request at a time, HTTP/2 as many as the server does; one more is refused at once.
#[derive(Debug)]
pub struct ClientConn {
    home: Arc<Single>,
    settings: Arc<Settings>,
    dialer: Arc<Dialer>,
}

/// Where the connection of a [`ClientConn`] comes back to.
#[derive(Debug)]
struct Single {
    state: Mutex<State>,
    changed: watch::Sender<ConnState>,
}

#[derive(Debug)]
struct State {
    conn: Option<Arc<Conn>>,
    sender: Option<Sender>,
    in_flight: usize,
    streams_max: usize,
    is_used: bool,
}

/// How a [`ClientConn`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnState {
    /// Requests on it.
    pub in_flight: usize,
    /// Requests that it would take now.
    pub available: usize,
    /// Why it is closed, once it is.
    pub closed: Option<CloseCause>,
}

impl ClientConn {
    pub(crate) async fn open(
        order: Order,
        settings: Arc<Settings>,
        dialer: Arc<Dialer>,
    ) -> Result<Self, Error> {
        let key = order.key.clone();
        let made = dialer.establish(order, &settings).await?;
        let connection = made.connection;
        let info = ConnInfo {
            id: 0,
            key: key.clone(),
            protocol: made.protocol,
            local_addr: connection.local_addr,
            remote_addr: connection.remote_addr,
            opened_at: Instant::now(),
        };
        let streams_max = if info.protocol == Protocol::Http1 { 1 } else { HTTP2_STREAMS_BEFORE_SETTINGS };
        let conn = Arc::new(Conn::new(ConnId::ALONE, info));
        let state = State { conn: None, sender: None, in_flight: 0, streams_max, is_used: false };
        let free = ConnState { in_flight: 0, available: streams_max, closed: None };
        let home = Arc::new(Single { state: Mutex::new(state), changed: watch::channel(free).0 });
        let weak: std::sync::Weak<dyn Home> = Arc::downgrade(&(home.clone() as Arc<dyn Home>));
        let sender = open(connection.io, &conn, weak, &settings).await?;
        if conn.is_gone() {
            return Err(Error::new(ErrorKind::ClosedByPeer).to(&key));
        }
        home.update(|state| (state.conn, state.sender) = (Some(conn), Some(sender)));
        Ok(Self { home, settings, dialer })
    }

    /// Sends a request over this connection and gives its response as soon as the head is there. The URI's host need
    /// not be that of the connection.
    ///
    /// # Errors
    ///
    /// [`Error`]; of kind [`LimitKind::InFlight`] when the connection has all the requests it can take.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection (HTTP/1) or resets the stream (HTTP/2).
    pub async fn round_trip(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        self.reserve()?.round_trip(request).await
    }

    /// Takes the place of one request, to be used later.
    ///
    /// # Errors
    ///
    /// [`Error`] of kind [`LimitKind::InFlight`] when there is none, of kind [`ErrorKind::ClosedByPeer`] or
    /// [`ErrorKind::Cancelled`] when the connection is closed.
    pub fn reserve(&self) -> Result<Reserved<'_>, Error> {
        let lease = self.home.reserve()?;
        Ok(Reserved { conn: self, lease })
    }

    /// How it is: requests on it and places left.
    #[must_use]
    pub fn state(&self) -> ConnState {
        *self.home.changed.borrow()
    }

    /// Follows how it is. The last state says why it was closed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ConnState> {
        self.home.changed.subscribe()
    }

    /// The connection's addresses, protocol and age; `None` once it is closed.
    #[must_use]
    pub fn info(&self) -> Option<ConnInfo> {
        self.home.lock().conn.as_ref().map(|conn| conn.info.clone())
    }

    /// Closes it, with what is on it.
    pub fn close(&self) {
        self.home.close();
    }

    /// Waits until it is closed, and says why.
    ///
    /// # Cancel safety
    ///
    /// It only looks.
    pub async fn closed(&self) -> CloseCause {
        let mut states = self.watch();
        let closed = states.wait_for(|state| state.closed.is_some()).await;
        closed.ok().and_then(|state| state.closed).unwrap_or(CloseCause::Peer)
    }
}

impl Drop for ClientConn {
    /// A response that is still being read is read to its end.
    fn drop(&mut self) {
        let idle = self.home.lock().sender.take();
        drop(idle);
    }
}

impl RoundTripper for ClientConn {
    async fn round_trip(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        Self::round_trip(self, request).await
    }
}

/// The place of one request on a [`ClientConn`]. Dropped, it is free again.
#[derive(Debug)]
pub struct Reserved<'a> {
    conn: &'a ClientConn,
    lease: Lease,
}

impl Reserved<'_> {
    /// Sends the request, as [`ClientConn::round_trip`].
    ///
    /// # Errors
    ///
    /// [`Error`].
    ///
    /// # Cancel safety
    ///
    /// As [`ClientConn::round_trip`].
    pub async fn round_trip(self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        let mut plan = Plan::new(request, &self.conn.settings, &self.conn.dialer)?;
        let response = exchange(&self.conn.settings, &mut plan, self.lease).await;
        response.map_err(|failure| failure.error)
    }
}

impl Single {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state);
        let is_free = state.sender.is_some();
        let available = if is_free { state.streams_max.saturating_sub(state.in_flight) } else { 0 };
        let in_flight = state.in_flight;
        drop(state);
        self.changed.send_modify(|now| {
            now.in_flight = in_flight;
            now.available = if now.closed.is_some() { 0 } else { available };
        });
        changed
    }

    fn reserve(self: &Arc<Self>) -> Result<Lease, Error> {
        let closed = self.changed.borrow().closed;
        if let Some(cause) = closed {
            return Err(Error::from_close(cause));
        }
        let home: Arc<dyn Home> = self.clone();
        let found = self.update(|state| {
            if state.in_flight >= state.streams_max {
                return None;
            }
            let shared = state.sender.as_ref().and_then(Sender::share);
            let sender = shared.or_else(|| state.sender.take())?;
            state.in_flight += 1;
            let is_reused = std::mem::replace(&mut state.is_used, true);
            Some((state.conn.clone()?, sender, Reuse { is_reused, idle_for: None }))
        });
        let (conn, sender, reuse) = found.ok_or_else(|| Error::new(ErrorKind::Limit(LimitKind::InFlight)))?;
        Ok(Lease::new(home, conn, sender, reuse))
    }

    fn close(&self) {
        let conn = self.lock().conn.clone();
        if let Some(conn) = conn {
            conn.close(CloseCause::Cancelled);
        }
    }
}

impl Home for Single {
    fn release(
        &self,
        conn: &Arc<Conn>,
        sender: Sender,
        reuse: Result<(), CloseCause>,
    ) -> Result<(), CloseCause> {
        // Whoever gives it back as usable has seen it ready, or has not used it.
        let is_usable = reuse.is_ok() && !sender.is_closed();
        let unused = self.update(|state| {
            state.in_flight = state.in_flight.saturating_sub(1);
            if conn.is_http1() && is_usable { state.sender.replace(sender) } else { Some(sender) }
        });
        drop(unused);
        if let (true, Err(cause)) = (conn.is_http1(), reuse) {
            conn.close(cause);
        }
        reuse
    }

    fn closed(self: Arc<Self>, conn: &Arc<Conn>) {
        let cause = conn.cause_of_end();
        let gone = self.update(|state| (state.conn.take(), state.sender.take()));
        drop(gone);
        self.changed.send_modify(|now| (now.closed, now.available) = (Some(cause), 0));
    }

    fn retired(self: Arc<Self>, _conn: &Arc<Conn>) {
        self.update(|state| state.streams_max = 0);
    }

    fn streams_changed(self: Arc<Self>, _conn: &Arc<Conn>, streams_max: usize) {
        self.update(|state| state.streams_max = streams_max);
    }
}
