//! A connection to a Go node, and unary calls on it, each with a deadline.
//!
//! Invariants: that the connection ended is known at once, whether a call is out or not; dropped, it ends.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use super::Shared;
use super::convert::Job;
use super::generated::master_client::MasterClient;
use super::generated::member_client::MemberClient;
use super::messages::{DelMemberRequest, NewMemberRequest, SessionClosedRequest};
use super::roster::News;
use crate::limits::{
    HELLO_TIMEOUT, NANO_CALL_TIMEOUT, NANO_MEMBER_LEN_MAX, NANO_MEMBERS_LEN_MAX, NANO_MESSAGE_LEN_MAX,
    WINDOW_LEN,
};

/// No session has this number: a Go node that hears that it is closed does nothing, and answers.
const NO_SESSION: i64 = -1;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the node's address is none")]
    Addr(#[source] http::Error),
    #[error("the node is not reached")]
    Dial(#[source] io::Error),
    #[error("the node does not answer in time")]
    TimedOut,
    #[error("the node does not speak HTTP/2")]
    Handshake(#[source] hyper::Error),
    #[error("the node does not answer")]
    Silent(#[source] CallError),
}

impl WireError {
    /// Whether nobody listens there.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Dial(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// Why a call was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the node refuses the call")]
    Refused(#[source] Box<Status>),
    #[error("the connection has ended")]
    Broken,
    #[error("the node does not answer in time")]
    TimedOut,
}

/// A connection. Clones of its parts live no longer than it does.
#[derive(Debug)]
pub(crate) struct Wire {
    conn: Conn,
    origin: Uri,
    gone: CancellationToken,
    _end: DropGuard,
}

impl Wire {
    /// Connects with the Go node at `addr`, and waits until it has answered something.
    pub(crate) async fn connect(shared: &Shared, addr: &str) -> Result<Self, WireError> {
        let origin = Uri::builder().scheme("http").authority(addr).path_and_query("/");
        let origin = origin.build().map_err(WireError::Addr)?;
        let dialing = shared.dialer.way.dial(addr);
        let io = timeout(HELLO_TIMEOUT, dialing).await.map_err(|_| WireError::TimedOut)?;
        let (conn, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW_LEN)
            .initial_connection_window_size(WINDOW_LEN)
            .handshake(TokioIo::new(io.map_err(WireError::Dial)?))
            .await
            .map_err(WireError::Handshake)?;
        let (gone, end) = (CancellationToken::new(), CancellationToken::new());
        let (tell_gone, ended) = (gone.clone().drop_guard(), end.clone());
        // Why it ended is of no use: whoever holds it hears that it did.
        let living = ended.run_until_cancelled_owned(connection).map(move |_| drop(tell_gone));
        shared.tasks.spawn(living);
        let wire = Self { conn: Conn(conn), origin, gone, _end: end.drop_guard() };
        match wire.probe(HELLO_TIMEOUT).await {
            Ok(()) => Ok(wire),
            Err(error) => Err(WireError::Silent(error)),
        }
    }

    /// Waits until the connection has ended.
    pub(crate) async fn broken(&self) {
        self.gone.cancelled().await;
    }

    /// Whether it has.
    #[cfg(test)]
    pub(crate) fn is_broken(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Whether the node answers anything.
    pub(crate) async fn probe(&self, limit: Duration) -> Result<(), CallError> {
        let closed = SessionClosedRequest { session_id: NO_SESSION };
        match self.within(limit, self.member().session_closed(closed)).await {
            // It lives, whatever it thinks of it.
            Ok(_) | Err(CallError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a call about a session.
    pub(crate) async fn call(&self, job: Job) -> Result<(), CallError> {
        if job.len() > NANO_MESSAGE_LEN_MAX {
            // Said here: an error in the middle of a call looks like the end of the connection.
            return Err(CallError::Refused(Box::new(Status::out_of_range(
                "the message is too long for a Go node",
            ))));
        }
        let (mut member, limit) = (self.member(), NANO_CALL_TIMEOUT);
        match job {
            Job::Request(message) => self.within(limit, member.handle_request(message)).await.map(drop),
            Job::Notify(message, _) => self.within(limit, member.handle_notify(message)).await.map(drop),
            Job::Response(message) => self.within(limit, member.handle_response(message)).await.map(drop),
            Job::Push(message) => self.within(limit, member.handle_push(message)).await.map(drop),
            Job::SessionClosed(message) => self.within(limit, member.session_closed(message)).await.map(drop),
            Job::CloseSession(message) => self.within(limit, member.close_session(message)).await.map(drop),
        }
    }

    /// Tells of another member.
    pub(crate) async fn tell(&self, news: News, limit: Duration) -> Result<(), CallError> {
        let mut member = self.member();
        match news {
            News::New(info) => {
                let new = NewMemberRequest { member_info: Some(info) };
                self.within(limit, member.new_member(new)).await.map(drop)
            }
            News::Gone(service_addr) => {
                self.within(limit, member.del_member(DelMemberRequest { service_addr })).await.map(drop)
            }
        }
    }

    /// What a node does that is a master.
    pub(crate) fn master(&self) -> MasterClient<Conn> {
        MasterClient::with_origin(self.conn.clone(), self.origin.clone())
            .max_decoding_message_size(NANO_MEMBERS_LEN_MAX)
            .max_encoding_message_size(NANO_MEMBER_LEN_MAX)
    }

    fn member(&self) -> MemberClient<Conn> {
        MemberClient::with_origin(self.conn.clone(), self.origin.clone())
            .max_decoding_message_size(NANO_MESSAGE_LEN_MAX)
            .max_encoding_message_size(NANO_MESSAGE_LEN_MAX)
    }

    /// Waits for an answer for so long, and no longer than the connection lives.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CallError> {
        match self.gone.run_until_cancelled(timeout(limit, call)).await {
            None => Err(CallError::Broken),
            Some(Err(_)) => Err(CallError::TimedOut),
            Some(Ok(Ok(response))) => Ok(response.into_inner()),
            // What has a cause is of this end.
            Some(Ok(Err(status))) if status.source().is_some() || self.conn.0.is_closed() => {
                Err(CallError::Broken)
            }
            Some(Ok(Err(status))) => Err(CallError::Refused(Box::new(status))),
        }
    }
}

/// What tonic calls.
#[derive(Debug, Clone)]
pub(crate) struct Conn(SendRequest<Body>);

impl Service<Request<Body>> for Conn {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
