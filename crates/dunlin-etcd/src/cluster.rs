//! Which member of a cluster is asked, by whom, and how often. It knows nothing of keys.
//!
//! Invariant: what must not be done twice is sent again only when it surely was not done; what may be is asked of one member after another for
//! as long as there is time, so that one that never answers keeps nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dunlin_registry::RegistryError;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::Endpoint;

use crate::client::Etcd;
use crate::fate::{Asked, Fate, fate};
use crate::limits::PAUSE;
use crate::messages::AuthenticateRequest;

/// What a member without a leader refuses to do anything by, instead of waiting for one.
const REQUIRE_LEADER: &str = "hasleader";

/// Where the token of a user is.
const TOKEN: &str = "token";

/// The members, and who we are to them.
#[derive(Debug)]
pub(crate) struct Cluster {
    members: Box<[Etcd]>,
    /// Who answered last.
    current: AtomicUsize,
    user: Option<AuthenticateRequest>,
    token: Mutex<Option<AsciiMetadataValue>>,
}

/// How something is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// Whether it may be done twice: a read, or what is the same when it was done before.
    pub(crate) is_repeatable: bool,
    /// Whether it is of no use without a leader.
    pub(crate) needs_leader: bool,
    /// What it is, for refusals.
    pub(crate) asked: Asked,
}

impl Cluster {
    /// The members at these places, at least one of them. Nobody is asked yet.
    pub(crate) fn of(endpoints: &[Endpoint], user: Option<AuthenticateRequest>) -> Self {
        let members = endpoints.iter().map(|endpoint| Etcd::new(endpoint.connect_lazy())).collect();
        Self { members, current: AtomicUsize::new(0), user, token: Mutex::default() }
    }

    /// Asks one member after another, beginning with the one that answered last.
    pub(crate) async fn ask<T, Fut>(
        &self,
        manner: Manner,
        request: impl Fn(Etcd) -> Fut,
    ) -> Result<T, RegistryError>
    where
        Fut: Future<Output = Result<T, Status>>,
    {
        let Manner { timeout, is_repeatable, asked, .. } = manner;
        let deadline = Instant::now() + timeout;
        let share = timeout / u32::try_from(self.members.len()).unwrap_or(1).max(1);
        let mut last = RegistryError::NoLeader;
        let begin = self.current.load(Ordering::Relaxed);
        for turn in begin.. {
            let place = turn % self.members.len();
            let Some(member) = self.members.get(place) else { break };
            let asking = async { request(self.introduced(member, manner).await?).await };
            let until = if is_repeatable { deadline.min(Instant::now() + share) } else { deadline };
            let fate = match timeout_at(until, asking).await {
                Ok(Ok(answer)) => {
                    self.current.store(place, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(status)) => {
                    tracing::debug!(place, %status, "a member does not do what it was asked");
                    fate(&status, asked)
                }
                Err(_) => Fate::Unknown,
            };
            match fate {
                Fate::Refused(error) => return Err(error),
                Fate::NotDone(error) => last = error,
                Fate::Stranger => self.forget_token(),
                Fate::Unknown => {
                    // It may be that it never answers again.
                    self.pass_over(place);
                    last = RegistryError::TimedOut;
                    if !is_repeatable {
                        break;
                    }
                }
            }
            // Once around, whatever ails them needs a moment.
            let is_around = (turn + 1 - begin).is_multiple_of(self.members.len());
            let pause = if is_around { PAUSE } else { Duration::ZERO };
            if timeout_at(deadline, sleep(pause)).await.is_err() || Instant::now() >= deadline {
                break;
            }
        }
        Err(last)
    }

    /// Begins with the member after this one from now on, if it was this one.
    fn pass_over(&self, place: usize) {
        let next = (place + 1) % self.members.len().max(1);
        self.current.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed).ok();
    }

    /// A member, and what it has to know of us.
    async fn introduced(&self, member: &Etcd, manner: Manner) -> Result<Etcd, Status> {
        let mut metadata = MetadataMap::new();
        if manner.needs_leader {
            metadata.insert(REQUIRE_LEADER, AsciiMetadataValue::from_static("true"));
        }
        if let Some(user) = &self.user {
            metadata.insert(TOKEN, self.token(member, user).await?);
        }
        Ok(member.clone().with_metadata(metadata))
    }

    /// The token of our user, which is good for all members until one of them says otherwise.
    async fn token(&self, member: &Etcd, user: &AuthenticateRequest) -> Result<AsciiMetadataValue, Status> {
        let known = self.lock_token().clone();
        if let Some(token) = known {
            return Ok(token);
        }
        let answer = member.clone().authenticate(user.clone()).await?;
        let mut token: AsciiMetadataValue =
            answer.token.parse().map_err(|_| Status::unavailable("a token that is none"))?;
        token.set_sensitive(true);
        *self.lock_token() = Some(token.clone());
        Ok(token)
    }

    /// Says anew who we are, with the next request.
    pub(crate) fn forget_token(&self) {
        *self.lock_token() = None;
    }

    fn lock_token(&self) -> std::sync::MutexGuard<'_, Option<AsciiMetadataValue>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
