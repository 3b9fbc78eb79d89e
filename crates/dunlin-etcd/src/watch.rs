//! A watch on a cluster: when its member goes, it goes on with another one, from where it was.
//!
//! Invariant: events of one revision are given together, so a watch that goes on from a revision gives nothing twice and leaves nothing out.

use dunlin_registry::store::{Compacted, Event, KeyRange};
use dunlin_registry::{RegistryError, Watch, WatchSource};
use futures_util::future::BoxFuture;
use tokio::time::sleep;
use tonic::{Status, Streaming};

use crate::client::Etcd;
use crate::fate::{Asked, Fate, INVALID_TOKEN, NO_LEADER, fate};
use crate::limits::PAUSE;
use crate::messages::{WatchCreateRequest, WatchResponse};
use crate::registry::EtcdRegistry;
use crate::translate::{Names, revision, signed, unsigned};

/// Where the events of a watch come from.
#[derive(Debug)]
pub(crate) struct EtcdSource {
    registry: EtcdRegistry,
    range: KeyRange,
    stream: Streaming<WatchResponse>,
    place: Place,
    /// Whether the stream has ended. It stays so until there is another one, also when nobody waits meanwhile.
    is_lost: bool,
}

/// How far a watch is. Pure.
#[derive(Debug)]
struct Place {
    /// The revision to go on from.
    next: u64,
    /// Events of that revision, of which more may be in the next message.
    held: Vec<Event>,
}

/// What a message of a watch is.
enum Heard {
    /// Some events, or none.
    Events(Vec<Event>),
    /// The stream has ended, and another one may go on.
    Lost,
}

impl EtcdSource {
    /// A watch from a revision on; of what comes if it is 0.
    pub(crate) async fn watch(
        registry: EtcdRegistry,
        range: KeyRange,
        from_revision: u64,
    ) -> Result<Watch, RegistryError> {
        let (stream, next) = begin(&registry, &range, from_revision).await?;
        let place = Place { next, held: Vec::new() };
        let source = Self { registry, range, stream, place, is_lost: false };
        Ok(Watch::new(Box::new(source), next))
    }

    async fn hear(&mut self) -> Result<Heard, RegistryError> {
        let response = match self.stream.message().await {
            Ok(Some(response)) => response,
            Ok(None) => return Ok(Heard::Lost),
            Err(status) => {
                return match fate(&status, Asked::default()) {
                    Fate::Refused(error) => Err(error),
                    Fate::NotDone(_) | Fate::Unknown => Ok(Heard::Lost),
                    Fate::Stranger => {
                        self.registry.cluster().forget_token();
                        Ok(Heard::Lost)
                    }
                };
            }
        };
        if response.canceled {
            return match cancelled(response) {
                Some(error) => Err(error),
                None => {
                    self.registry.cluster().forget_token();
                    Ok(Heard::Lost)
                }
            };
        }
        self.place.take(self.registry.names(), response).map(Heard::Events)
    }
}

impl Place {
    /// The events of a message that are whole revisions; and where to go on from after them.
    fn take(&mut self, names: &Names, response: WatchResponse) -> Result<Vec<Event>, RegistryError> {
        let mut events = std::mem::take(&mut self.held);
        for event in response.events {
            events.push(names.event(event)?);
        }
        let Some(last) = events.last().map(Event::revision) else {
            // It says how far it is, so that a watch of silent keys does not fall behind.
            self.next = self.next.max(revision(response.header) + 1);
            return Ok(events);
        };
        if response.fragment {
            let whole = events.partition_point(|event| event.revision() < last);
            self.held = events.split_off(whole);
            self.next = last;
        } else {
            self.next = last + 1;
        }
        Ok(events)
    }
}

impl WatchSource for EtcdSource {
    fn next_events(&mut self) -> BoxFuture<'_, Result<(Vec<Event>, u64), RegistryError>> {
        Box::pin(async {
            loop {
                if self.is_lost {
                    // A member that ends each watch as soon as it has begun is not asked without a pause.
                    sleep(PAUSE).await;
                    (self.stream, _) = begin(&self.registry, &self.range, self.place.next).await?;
                    self.is_lost = false;
                }
                match self.hear().await? {
                    Heard::Events(events) => return Ok((events, self.place.next)),
                    Heard::Lost => {
                        self.place.held.clear();
                        self.is_lost = true;
                    }
                }
            }
        })
    }
}

/// Begins a watch, on whichever member can. With the revision that it begins with.
async fn begin(
    registry: &EtcdRegistry,
    range: &KeyRange,
    from_revision: u64,
) -> Result<(Streaming<WatchResponse>, u64), RegistryError> {
    let (key, range_end) = registry.names().range(range);
    let start_revision = signed(from_revision);
    let create = WatchCreateRequest { key, range_end, start_revision, progress_notify: true, fragment: true };
    let begin = |mut member: Etcd| {
        let create = create.clone();
        async move {
            let mut stream = member.watch(create).await?;
            let first = stream.message().await?.ok_or_else(|| Status::unavailable("the watch has ended"))?;
            Ok((stream, first))
        }
    };
    let (stream, first) = registry.cluster().ask(registry.reading(true), begin).await?;
    if first.canceled {
        return Err(cancelled(first).unwrap_or(RegistryError::NoLeader));
    }
    if !first.created {
        return Err(RegistryError::NoAnswer);
    }
    let next = if from_revision == 0 { revision(first.header) + 1 } else { from_revision };
    Ok((stream, next))
}

/// Why a member ended a watch; none if another one may go on with it.
fn cancelled(response: WatchResponse) -> Option<RegistryError> {
    // There are events of that revision and later ones.
    if let Some(compacted) = unsigned(response.compact_revision).checked_sub(1) {
        return Some(Compacted { compacted }.into());
    }
    match response.cancel_reason.as_str() {
        "" | NO_LEADER | INVALID_TOKEN => None,
        _ => Some(RegistryError::Refused { reason: response.cancel_reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{self, KeyValue, ResponseHeader};

    fn message(revisions: &[i64], fragment: bool) -> WatchResponse {
        let entry = |mod_revision| KeyValue { key: "/x/key".into(), mod_revision, ..KeyValue::default() };
        let event = |revision| messages::Event { kv: Some(entry(revision)), ..messages::Event::default() };
        let events = revisions.iter().copied().map(event).collect();
        let header = Some(ResponseHeader { revision: 90 });
        WatchResponse { header, events, fragment, ..WatchResponse::default() }
    }

    #[test]
    fn events_of_one_revision_are_given_together_though_they_come_in_pieces() {
        let names = Names::under("/x/".into()).unwrap();
        let mut place = Place { next: 3, held: Vec::new() };
        let mut take = |revisions: &[i64], fragment| {
            let events = place.take(&names, message(revisions, fragment)).unwrap();
            (events.iter().map(Event::revision).collect::<Vec<_>>(), place.next)
        };
        assert_eq!(take(&[3, 5, 5], true), (vec![3], 5), "more of 5 may come");
        assert_eq!(take(&[5], true), (vec![], 5));
        assert_eq!(take(&[5, 7], true), (vec![5, 5, 5, 5], 7));
        assert_eq!(take(&[], false), (vec![7], 8), "that was all of it");
        assert_eq!(take(&[], false), (vec![], 91), "the store is so far without events");
    }

    #[test]
    fn a_watch_that_was_ended_goes_on_elsewhere_unless_it_is_too_late_or_refused() {
        let ended = |compact_revision, reason: &str| {
            let cancel_reason = reason.to_owned();
            cancelled(WatchResponse {
                canceled: true,
                compact_revision,
                cancel_reason,
                ..WatchResponse::default()
            })
        };
        assert_eq!(ended(7, "compacted"), Some(Compacted { compacted: 6 }.into()));
        assert_eq!([ended(0, ""), ended(0, NO_LEADER), ended(0, INVALID_TOKEN)], [None, None, None]);
        let reason = "etcdserver: permission denied".to_owned();
        assert_eq!(ended(0, &reason), Some(RegistryError::Refused { reason }));
    }
}
