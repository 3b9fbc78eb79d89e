//! The service around a member's registry.

use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::{Code, Request, Response, Status};

use super::generated::registry_server::{Registry as Service, RegistryServer};
use super::messages::{
    ChangeMemberRequest, ChangeMemberResponse, ExecuteRequest, ExecuteResponse, Executed, MemberChange,
    RangeRequest, RangeResponse, StatusRequest, StatusResponse, WatchEvent, WatchRequest, WatchResponse,
};
use super::{COMPACTED_REVISION, MESSAGE_LEN_MAX};
use crate::error::{RegistryError, chain};
use crate::limits::REQUEST_TIMEOUT_MAX;
use crate::local::LocalRegistry;
use crate::registry::{Consistency, Registry as _};
use crate::store::{Event, EventKind, Refusal};
use crate::watch::Watch;

/// The service of a member, for a router of tonic's or hyper's.
#[must_use]
pub fn service(registry: LocalRegistry) -> RegistryServer<impl Service> {
    RegistryServer::new(Served { registry })
        .max_decoding_message_size(MESSAGE_LEN_MAX)
        .max_encoding_message_size(MESSAGE_LEN_MAX)
}

#[derive(Debug)]
struct Served {
    registry: LocalRegistry,
}

impl Served {
    /// The registry, with as much time as was asked for within reason.
    fn registry(&self, timeout_ms: u64) -> LocalRegistry {
        match timeout_ms {
            0 => self.registry.clone(),
            _ => {
                self.registry.clone().with_timeout(Duration::from_millis(timeout_ms).min(REQUEST_TIMEOUT_MAX))
            }
        }
    }
}

#[tonic::async_trait]
impl Service for Served {
    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        let ExecuteRequest { client, sequence, operation, timeout_ms } = request.into_inner();
        let operation = operation.ok_or_else(|| Status::invalid_argument("the command does nothing"))?;
        let done = self.registry(timeout_ms).execute_numbered((client, sequence), operation).await;
        let executed = match done {
            Ok(answered) => Executed::Answered(answered),
            Err(RegistryError::Store(error)) => Executed::Refused(Refusal::of(&error)),
            Err(error) => return Err(status(&error)),
        };
        Ok(Response::new(ExecuteResponse { executed: Some(executed) }))
    }

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let RangeRequest { range, limit, is_stale, timeout_ms } = request.into_inner();
        let consistency = if is_stale { Consistency::Stale } else { Consistency::Linearizable };
        let read = self.registry(timeout_ms).range(range, limit, consistency).await;
        let (answer, revision) = read.map_err(|error| status(&error))?;
        Ok(Response::new(RangeResponse { entries: answer.entries, has_more: answer.has_more, revision }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { range, from_revision } = request.into_inner();
        let watch = self.registry.watch(range, from_revision).await.map_err(|error| status(&error))?;
        // The first answer says that it has begun, so that whoever asked knows what it will not miss.
        let first = WatchResponse { events: Vec::new(), resume_revision: watch.resume_revision() };
        let events = unfold((watch, Some(first)), |(mut watch, first)| async {
            let next = match first {
                Some(first) => Ok(first),
                None => next(&mut watch).await,
            };
            Some((next, (watch, None)))
        });
        Ok(Response::new(Box::pin(ended_by_errors(events))))
    }

    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let state = self.registry.state();
        Ok(Response::new(StatusResponse {
            id: self.registry.member_id(),
            leader: state.leader,
            term: state.term,
            committed: state.committed,
            applied: state.applied,
            revision: self.registry.revision(),
            members: self.registry.members(),
            cluster: self.registry.cluster_id(),
        }))
    }

    async fn change_member(
        &self,
        request: Request<ChangeMemberRequest>,
    ) -> Result<Response<ChangeMemberResponse>, Status> {
        let ChangeMemberRequest { change, member, timeout_ms } = request.into_inner();
        let registry = self.registry(timeout_ms);
        let changed = match MemberChange::try_from(change) {
            Ok(MemberChange::Add) => registry.add_member(&member).await,
            Ok(MemberChange::AddLearner) => registry.add_learner(&member).await,
            Ok(MemberChange::Promote) => registry.promote(member.id).await,
            Ok(MemberChange::Remove) => registry.remove_member(member.id).await,
            Ok(MemberChange::Update) => registry.update_member(&member).await,
            Ok(MemberChange::Transfer) => registry.transfer_leadership(member.id),
            Ok(MemberChange::Unknown) | Err(_) => {
                return Err(Status::invalid_argument("the change of members is of an unknown kind"));
            }
        };
        changed.map_err(|error| status(&error))?;
        Ok(Response::new(ChangeMemberResponse {}))
    }
}

/// The events that are there, as soon as there is one.
async fn next(watch: &mut Watch) -> Result<WatchResponse, Status> {
    let first = watch.next().await.map_err(|error| status(&error))?;
    let mut events = vec![event(first)];
    events.extend(watch.take_ready().map(event));
    Ok(WatchResponse { events, resume_revision: watch.resume_revision() })
}

fn event(event: Event) -> WatchEvent {
    WatchEvent { is_delete: event.kind == EventKind::Delete, entry: event.entry }
}

/// Nothing comes after an error.
fn ended_by_errors<T: Send>(
    stream: impl Stream<Item = Result<T, Status>> + Send,
) -> impl Stream<Item = Result<T, Status>> + Send {
    use futures_util::StreamExt;
    stream.scan(false, |is_over, item| {
        let goes_on = !std::mem::replace(is_over, item.is_err());
        std::future::ready(goes_on.then_some(item))
    })
}

fn status(error: &RegistryError) -> Status {
    let code = match error {
        RegistryError::NoLeader | RegistryError::Stopped => Code::Unavailable,
        RegistryError::Overloaded => Code::ResourceExhausted,
        RegistryError::TimedOut => Code::DeadlineExceeded,
        RegistryError::TooLarge { .. } | RegistryError::Store(_) => Code::InvalidArgument,
        RegistryError::Compacted(_) => Code::OutOfRange,
        // Another one is on its way, or a leader knows more in a moment.
        RegistryError::Change(_) if error.is_retryable() => Code::Unavailable,
        RegistryError::Member(_) | RegistryError::Change(_) | RegistryError::Refused { .. } => {
            Code::FailedPrecondition
        }
        RegistryError::NoAnswer => Code::Internal,
    };
    let mut status = Status::new(code, chain(error));
    if let RegistryError::Compacted(compacted) = error {
        status.metadata_mut().insert(COMPACTED_REVISION, compacted.compacted.into());
    }
    status
}
