//! The registry from afar: a client that knows several members and goes from one to the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use super::MESSAGE_LEN_MAX;
use super::generated::registry_client::RegistryClient;
use super::messages::{
    ExecuteRequest, Executed, RangeRequest, StatusRequest, StatusResponse, WatchRequest, WatchResponse,
};
use crate::limits::{REMOTE_PAUSE, REQUEST_TIMEOUT};
use crate::registry::Consistency;
use crate::store::{Answered, Event, EventKind, KeyRange, Operation, RangeAnswer, StoreError};

/// A connection to one member, made when it is first asked.
type Client = RegistryClient<Channel>;

/// Why a request from afar failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// None of the members is given, or one is no URL.
    #[error("{url} is no URL of a member")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// There is no member to ask.
    #[error("no member is given")]
    Nobody,
    /// The store refuses it, on every member alike.
    #[error("the store refuses the command")]
    Store(#[from] StoreError),
    /// The time is over. What came of a command is not known: with the same number it is done once.
    #[error("no member answered in time")]
    TimedOut {
        /// What the member that was asked last said.
        source: Option<Box<Status>>,
    },
    /// A member refuses it, and so would others.
    #[error("a member refuses the request")]
    Refused(#[source] Box<Status>),
    /// A member answers with what is no answer.
    #[error("a member answered with what is no answer")]
    NoAnswer,
}

/// A client of the registry. A clone shares its connections, and has numbers of its own for its commands.
///
/// A request goes to one member; when that has no leader, too much to do, or is gone, to the next one, for as long as the request has
/// time. Commands are numbered, so that one that went to two members is done once.
#[derive(Debug)]
pub struct RemoteRegistry {
    members: Arc<[Client]>,
    /// Who answered last.
    current: Arc<AtomicUsize>,
    numbers: Mutex<(u64, u64)>,
    timeout: Duration,
}

impl Clone for RemoteRegistry {
    fn clone(&self) -> Self {
        Self {
            members: self.members.clone(),
            current: self.current.clone(),
            numbers: Mutex::new((fastrand::u64(1..), 0)),
            timeout: self.timeout,
        }
    }
}

impl RemoteRegistry {
    /// A client of members at these URLs, `http://host:port`. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Url`] and [`RemoteError::Nobody`].
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, RemoteError> {
        let member = |url: &str| {
            let endpoint = Endpoint::from_shared(url.to_owned())
                .map_err(|source| RemoteError::Url { url: url.to_owned(), source })?;
            let endpoint = endpoint.connect_timeout(REMOTE_PAUSE * 5).tcp_nodelay(true);
            let client = RegistryClient::new(endpoint.connect_lazy());
            Ok(client.max_decoding_message_size(MESSAGE_LEN_MAX).max_encoding_message_size(MESSAGE_LEN_MAX))
        };
        let members: Arc<[_]> = urls.into_iter().map(member).collect::<Result<_, RemoteError>>()?;
        if members.is_empty() {
            return Err(RemoteError::Nobody);
        }
        let numbers = Mutex::new((fastrand::u64(1..), 0));
        Ok(Self { members, current: Arc::default(), numbers, timeout: REQUEST_TIMEOUT })
    }

    /// The same with another time for each request.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Does something once. Commands of one handle are done one after another.
    ///
    /// # Errors
    ///
    /// [`RemoteError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the command to its fate: it may be done.
    pub async fn execute(&self, operation: Operation) -> Result<Answered, RemoteError> {
        let mut numbers = self.numbers.lock().await;
        let (client, sequence) = *numbers;
        // If it is dropped here, what came of it is not known, and the next command is somebody else's.
        *numbers = (fastrand::u64(1..), 0);
        let request = ExecuteRequest {
            client,
            sequence: sequence + 1,
            operation: Some(operation),
            timeout_ms: self.timeout_ms(),
        };
        let execute = |mut member: Client| {
            let request = request.clone();
            async move { member.execute(request).await }
        };
        let done = match self.ask(execute).await?.executed {
            Some(Executed::Answered(answered)) => Ok(answered),
            Some(Executed::Refused(refusal)) => {
                Err(StoreError::try_from(refusal).map_err(|_| RemoteError::NoAnswer)?)
            }
            None => return Err(RemoteError::NoAnswer),
        };
        // Whom the store no longer knows, somebody new takes the place of.
        if !matches!(done, Err(StoreError::ClientForgotten { .. })) {
            *numbers = (client, sequence + 1);
        }
        Ok(done?)
    }

    /// The keys of a range, `limit` at most (0 for no limit), and the revision that they are of.
    ///
    /// # Errors
    ///
    /// [`RemoteError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the read.
    pub async fn range(
        &self,
        range: &KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> Result<(RangeAnswer, u64), RemoteError> {
        let request = RangeRequest {
            range: range.clone(),
            limit,
            is_stale: consistency == Consistency::Stale,
            timeout_ms: self.timeout_ms(),
        };
        let read = |mut member: Client| {
            let request = request.clone();
            async move { member.range(request).await }
        };
        let read = self.ask(read).await?;
        Ok((RangeAnswer { entries: read.entries, has_more: read.has_more }, read.revision))
    }

    /// Watches keys from a revision on, what comes if it is 0. When this returns, the watch has begun.
    ///
    /// # Errors
    ///
    /// [`RemoteError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the watch.
    pub async fn watch(&self, range: KeyRange, from_revision: u64) -> Result<RemoteWatch, RemoteError> {
        let request = WatchRequest { range: range.clone(), from_revision };
        let begin = |mut member: Client| {
            let request = request.clone();
            async move {
                let mut stream = member.watch(request).await?.into_inner();
                let first =
                    stream.message().await?.ok_or_else(|| Status::unavailable("the watch has ended"))?;
                Ok(tonic::Response::new((stream, first.resume_revision)))
            }
        };
        let (stream, next) = self.ask(begin).await?;
        Ok(RemoteWatch { registry: self.clone(), range, stream, next, events: VecDeque::new() })
    }

    /// What a member is and how it does.
    ///
    /// # Errors
    ///
    /// [`RemoteError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the question.
    pub async fn status(&self) -> Result<StatusResponse, RemoteError> {
        self.ask(|mut member: Client| async move { member.status(StatusRequest {}).await }).await
    }

    fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks one member after another, beginning with the one that answered last.
    async fn ask<T, Fut>(&self, request: impl Fn(Client) -> Fut) -> Result<T, RemoteError>
    where
        Fut: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut last = None;
        let begin = self.current.load(Ordering::Relaxed);
        for turn in begin.. {
            let place = turn % self.members.len();
            let Some(member) = self.members.get(place).cloned() else { break };
            match timeout_at(deadline, request(member)).await {
                Ok(Ok(response)) => {
                    self.current.store(place, Ordering::Relaxed);
                    return Ok(response.into_inner());
                }
                Ok(Err(status)) if is_passing(status.code()) => last = Some(Box::new(status)),
                Ok(Err(status)) => return Err(RemoteError::Refused(Box::new(status))),
                Err(_) => break,
            }
            // Once around, whatever ails them needs a moment.
            let is_around = (turn + 1 - begin).is_multiple_of(self.members.len());
            if is_around && timeout_at(deadline, sleep(REMOTE_PAUSE)).await.is_err() {
                break;
            }
        }
        Err(RemoteError::TimedOut { source: last })
    }
}

/// Whether another member, or the same one later, may say something else.
const fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
    )
}

/// A watch from afar. When its member goes, it goes on with another one, from where it was.
#[derive(Debug)]
pub struct RemoteWatch {
    registry: RemoteRegistry,
    range: KeyRange,
    stream: Streaming<WatchResponse>,
    next: u64,
    events: VecDeque<Event>,
}

impl RemoteWatch {
    /// The next event, as soon as there is one.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Refused`] when it is too far behind; [`RemoteError::TimedOut`] when no member goes on with it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Event, RemoteError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            match self.stream.message().await {
                Ok(Some(response)) => {
                    self.next = response.resume_revision;
                    let kind = |is_delete| if is_delete { EventKind::Delete } else { EventKind::Put };
                    let events = response.events.into_iter();
                    self.events = events
                        .map(|event| Event { kind: kind(event.is_delete), entry: event.entry })
                        .collect();
                }
                Err(status) if !is_passing(status.code()) => {
                    return Err(RemoteError::Refused(Box::new(status)));
                }
                Ok(None) | Err(_) => {
                    let again = self.registry.watch(self.range.clone(), self.next).await?;
                    self.stream = again.stream;
                }
            }
        }
    }

    /// The revision to watch from when this watch ends here.
    #[must_use]
    pub fn resume_revision(&self) -> u64 {
        self.events.front().map_or(self.next, Event::revision)
    }
}
