//! The registry from afar: a client that knows several members and goes from one to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tower::ServiceExt as _;

use super::generated::registry_client::RegistryClient;
use super::late_flush::LateFlush;
use super::messages::{
    ExecuteRequest, Executed, RangeRequest, StatusRequest, StatusResponse, WatchEvent, WatchRequest,
    WatchResponse,
};
use super::{COMPACTED_REVISION, MESSAGE_LEN_MAX};
use crate::error::RegistryError;
use crate::limits::{KEEP_ALIVE, REMOTE_PAUSE, REQUEST_TIMEOUT};
use crate::numbers::Numbers;
use crate::registry::{Consistency, Registry};
use crate::store::{Answered, Compacted, Event, EventKind, KeyRange, Operation, RangeAnswer, StoreError};
use crate::watch::{Watch, WatchSource};

/// A connection to one member, made when it is first asked.
pub(super) type Client = RegistryClient<Channel>;

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// What should be the URL of a member is none.
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
}

/// A client of the registry. Clones are the same one.
///
/// A request goes to one member; when that has no leader, too much to do, is gone, or says nothing for its share of the time, to the
/// next one, for as long as the request has time. Commands are numbered, so that one that went to two members is done once.
#[derive(Debug, Clone)]
pub struct RemoteRegistry {
    members: Arc<[Client]>,
    /// Who answered last.
    current: Arc<AtomicUsize>,
    numbers: Arc<Numbers>,
    timeout: Duration,
}

impl RemoteRegistry {
    /// A client of members at these URLs, `http://host:port`. Nobody is asked yet.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Url`] and [`RemoteError::Nobody`].
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, RemoteError> {
        let channel = |url: &str| {
            let endpoint = Endpoint::from_shared(url.to_owned())
                .map_err(|source| RemoteError::Url { url: url.to_owned(), source })?;
            // A watch says nothing for long, and must not wait for a member that vanished without a word.
            let endpoint = endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE);
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let connector = connector.map_response(|io| TokioIo::new(LateFlush::new(io.into_inner())));
            Ok(endpoint.connect_timeout(REMOTE_PAUSE * 5).connect_with_connector_lazy(connector))
        };
        Self::over(urls.into_iter().map(channel).collect::<Result<Vec<_>, RemoteError>>()?)
    }

    /// A client of members that are reached over these channels, one for each: for TLS, and other ways to reach them.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Nobody`].
    pub fn over(channels: impl IntoIterator<Item = Channel>) -> Result<Self, RemoteError> {
        let member = |channel| {
            RegistryClient::new(channel)
                .max_decoding_message_size(MESSAGE_LEN_MAX)
                .max_encoding_message_size(MESSAGE_LEN_MAX)
        };
        let members: Arc<[_]> = channels.into_iter().map(member).collect();
        if members.is_empty() {
            return Err(RemoteError::Nobody);
        }
        Ok(Self { members, current: Arc::default(), numbers: Arc::default(), timeout: REQUEST_TIMEOUT })
    }

    /// The same with another time for each request.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn execute_numbered(
        &self,
        (client, sequence): (u64, u64),
        operation: Operation,
    ) -> Result<Answered, RegistryError> {
        let request =
            ExecuteRequest { client, sequence, operation: Some(operation), timeout_ms: self.timeout_ms() };
        let execute = |mut member: Client| {
            let request = request.clone();
            async move { member.execute(request).await }
        };
        match self.ask(execute).await?.executed {
            Some(Executed::Answered(answered)) => Ok(answered),
            Some(Executed::Refused(refusal)) => {
                Err(StoreError::try_from(refusal).map_err(|_| RegistryError::NoAnswer)?.into())
            }
            None => Err(RegistryError::NoAnswer),
        }
    }

    async fn begin_watch(
        &self,
        range: &KeyRange,
        from_revision: u64,
    ) -> Result<(Streaming<WatchResponse>, u64), RegistryError> {
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
        self.ask(begin).await
    }

    /// What a member is and how it does.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the question.
    pub async fn status(&self) -> Result<StatusResponse, RegistryError> {
        self.ask(|mut member: Client| async move { member.status(StatusRequest {}).await }).await
    }

    /// All the time of a request.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// Begins with the member after this one from now on, if it was this one.
    fn pass_over(&self, place: usize) {
        let next = (place + 1) % self.members.len();
        self.current.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed).ok();
    }

    /// Asks one member after another, beginning with the one that answered last. None gets more than its share of the time: one that
    /// stands still must not cost whoever keeps a lease alive the lease.
    async fn ask<T, Fut>(&self, request: impl Fn(Client) -> Fut) -> Result<T, RegistryError>
    where
        Fut: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        self.ask_each(self.timeout / members, request).await
    }

    /// The same with a time for each member.
    pub(super) async fn ask_each<T, Fut>(
        &self,
        share: Duration,
        request: impl Fn(Client) -> Fut,
    ) -> Result<T, RegistryError>
    where
        Fut: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut last = None;
        let begin = self.current.load(Ordering::Relaxed);
        for turn in begin.. {
            let place = turn % self.members.len();
            let Some(member) = self.members.get(place).cloned() else { break };
            match timeout_at(deadline.min(Instant::now() + share), request(member)).await {
                Ok(Ok(response)) => {
                    self.current.store(place, Ordering::Relaxed);
                    return Ok(response.into_inner());
                }
                Ok(Err(status)) if is_passing(status.code()) => last = Some(status),
                Ok(Err(status)) => return Err(refusal(&status)),
                Err(_) => {
                    // It may be that it never answers again.
                    self.pass_over(place);
                    if Instant::now() >= deadline {
                        break;
                    }
                }
            }
            // Once around, whatever ails them needs a moment.
            let is_around = (turn + 1 - begin).is_multiple_of(self.members.len());
            if is_around && timeout_at(deadline, sleep(REMOTE_PAUSE)).await.is_err() {
                break;
            }
        }
        if let Some(status) = last {
            tracing::debug!(%status, "no member answered in time; this is what the last one said");
        }
        Err(RegistryError::TimedOut)
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

/// What a member refuses, as another one would.
fn refusal(status: &Status) -> RegistryError {
    let compacted =
        status.metadata().get(COMPACTED_REVISION).and_then(|value| value.to_str().ok()?.parse().ok());
    match compacted {
        Some(compacted) => RegistryError::Compacted(Compacted { compacted }),
        None => RegistryError::Refused { reason: status.message().to_owned() },
    }
}

impl Registry for RemoteRegistry {
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Answered, RegistryError>> {
        Box::pin(async move {
            self.numbers.execute(|number| self.execute_numbered(number, operation.clone())).await
        })
    }

    fn range(
        &self,
        range: KeyRange,
        limit: u64,
        consistency: Consistency,
    ) -> BoxFuture<'_, Result<(RangeAnswer, u64), RegistryError>> {
        let request = RangeRequest {
            range,
            limit,
            is_stale: consistency == Consistency::Stale,
            timeout_ms: self.timeout_ms(),
        };
        Box::pin(async move {
            let read = |mut member: Client| {
                let request = request.clone();
                async move { member.range(request).await }
            };
            let read = self.ask(read).await?;
            Ok((RangeAnswer { entries: read.entries, has_more: read.has_more }, read.revision))
        })
    }

    fn watch(&self, range: KeyRange, from_revision: u64) -> BoxFuture<'_, Result<Watch, RegistryError>> {
        Box::pin(async move {
            let (stream, next) = self.begin_watch(&range, from_revision).await?;
            let source = RemoteSource { registry: self.clone(), range, stream, next };
            Ok(Watch::new(Box::new(source), next))
        })
    }
}

/// A watch from afar. When its member goes, it goes on with another one, from where it was.
#[derive(Debug)]
struct RemoteSource {
    registry: RemoteRegistry,
    range: KeyRange,
    stream: Streaming<WatchResponse>,
    next: u64,
}

impl WatchSource for RemoteSource {
    fn next_events(&mut self) -> BoxFuture<'_, Result<(Vec<Event>, u64), RegistryError>> {
        Box::pin(async {
            loop {
                match self.stream.message().await {
                    Ok(Some(response)) => {
                        self.next = response.resume_revision;
                        let kind = |is_delete| if is_delete { EventKind::Delete } else { EventKind::Put };
                        let events = response.events.into_iter();
                        let event =
                            |event: WatchEvent| Event { kind: kind(event.is_delete), entry: event.entry };
                        return Ok((events.map(event).collect(), self.next));
                    }
                    Err(status) if !is_passing(status.code()) => return Err(refusal(&status)),
                    Ok(None) | Err(_) => {
                        // One that stops still answers that a watch has begun.
                        self.registry.pass_over(self.registry.current.load(Ordering::Relaxed));
                        (self.stream, _) = self.registry.begin_watch(&self.range, self.next).await?;
                    }
                }
            }
        })
    }
}
