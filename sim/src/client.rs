//! Clients: each does one thing at a time, asks again under the same number on any member, and gives up some time.
//!
//! As the registry's own handle does it: a command whose outcome is known uses its number up; one that is given up makes the client
//! another one.

use std::collections::BTreeMap;

use bytes::Bytes;
use dunlin_registry::driver::RequestId;
use dunlin_registry::store::{
    Answer, Answered, Command, Compare, Compared, KeyRange, KeyValue, LeaseGrant, Operation, Outcome, Put,
    Relation, StoreError, Txn, TxnOperation, TxnStep,
};

use crate::ground::{Event, Ground};
use crate::history::{Act, Input, Kept, Output};
use crate::member::{Ask, Member, MemberEvent};
use crate::plan::Time;

/// What happens to a client.
#[derive(Debug)]
pub(crate) enum ClientEvent {
    /// It wants to do something.
    Wake,
    /// A request of it was answered.
    Reply(RequestId, Reply),
    /// A request of it took too long.
    Timeout(RequestId),
    /// It asks again what was refused.
    Again(RequestId),
}

/// What a client is told.
#[derive(Debug)]
pub(crate) enum Reply {
    /// What came of a command.
    Done(Outcome),
    /// What a key is.
    Got(Option<KeyValue>),
    /// Nothing came of it.
    Refused,
}

/// What a client wants done.
#[derive(Debug, Clone)]
enum Want {
    /// Something of a key that the history is about.
    Key(u64, Input),
    /// Something of a lease.
    Lease(Operation),
}

/// What a client is about.
#[derive(Debug)]
struct Doing {
    want: Want,
    called: Time,
    tries: u32,
    /// The request that is under way, and whom it was asked of, in which life.
    request: RequestId,
    asked: (u64, u64),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    place: usize,
    /// Its number, and that of its last command whose outcome is known.
    number: u64,
    sequence: u64,
    is_about_leases: bool,
    lease: u64,
    member: u64,
    /// What it knows of keys.
    seen: BTreeMap<u64, Option<u64>>,
    doing: Option<Doing>,
    /// What it did, with the number of each command.
    pub(crate) acts: Vec<(Act, (u64, u64))>,
    /// Whether it has done something since the faults are over.
    pub(crate) is_served: bool,
}

impl Client {
    pub(crate) const fn new(place: usize, is_about_leases: bool) -> Self {
        Self {
            place,
            number: 0,
            sequence: 0,
            is_about_leases,
            lease: 0,
            member: 1,
            seen: BTreeMap::new(),
            doing: None,
            acts: Vec::new(),
            is_served: false,
        }
    }

    /// Something happens to it.
    pub(crate) fn handle(&mut self, event: ClientEvent, members: &[Member], ground: &mut Ground) {
        let is_current = |request| self.doing.as_ref().is_some_and(|doing| doing.request == request);
        match event {
            ClientEvent::Wake if self.doing.is_none() && !ground.is_calm => self.begin(members, ground),
            ClientEvent::Wake => {}
            ClientEvent::Again(request) if is_current(request) => self.ask(members, ground),
            ClientEvent::Timeout(request) if is_current(request) => {
                self.forget(ground);
                let tries = self.doing.as_ref().map_or(0, |doing| doing.tries);
                if tries >= ground.plan.tries_max && !ground.is_calm {
                    self.give_up(ground);
                } else {
                    self.ask(members, ground);
                }
            }
            ClientEvent::Reply(request, Reply::Refused) if is_current(request) => {
                let delay = ground.rng.u64(1..=20);
                ground.schedule(delay, Event::Client(self.place, ClientEvent::Again(request)));
            }
            ClientEvent::Reply(request, reply) if is_current(request) => self.end(reply, ground),
            ClientEvent::Again(_) | ClientEvent::Timeout(_) | ClientEvent::Reply(..) => {}
        }
    }

    /// Begins something of its own choice.
    fn begin(&mut self, members: &[Member], ground: &mut Ground) {
        let want =
            if self.is_about_leases { self.choose_of_lease(ground) } else { self.choose_of_key(ground) };
        self.begin_with(want, members, ground);
    }

    /// Begins the command that shows that the group does its work.
    pub(crate) fn probe(&mut self, members: &[Member], ground: &mut Ground) {
        if self.doing.is_none() {
            let value = ground.next_request();
            self.begin_with(Want::Key(1, Input::Put(value)), members, ground);
        }
    }

    fn begin_with(&mut self, want: Want, members: &[Member], ground: &mut Ground) {
        if self.number == 0 {
            self.number = ground.next_request();
            self.sequence = 0;
        }
        self.doing = Some(Doing { want, called: ground.now, tries: 0, request: 0, asked: (0, 0) });
        self.ask(members, ground);
    }

    fn choose_of_key(&self, ground: &mut Ground) -> Want {
        let key = ground.rng.u64(1..=ground.plan.keys);
        if ground.happens(ground.plan.reads) {
            return Want::Key(key, Input::Get);
        }
        // No value is put twice.
        let value = ground.next_request();
        let input = match ground.rng.u8(0..6) {
            0 => Input::Delete,
            1 | 2 => Input::Swap(self.seen.get(&key).copied().flatten(), value),
            _ => Input::Put(value),
        };
        Want::Key(key, input)
    }

    fn choose_of_lease(&self, ground: &mut Ground) -> Want {
        let lease = self.lease;
        Want::Lease(match ground.rng.u8(0..5) {
            _ if lease == 0 => {
                Operation::LeaseGrant(LeaseGrant { lease: 0, ttl_ms: ground.rng.u64(1_000..=2_000) })
            }
            0 => Operation::Put(Put { key: format!("lease/{lease}").into(), value: Bytes::new(), lease }),
            _ => Operation::LeaseKeepAlive(lease),
        })
    }

    /// Asks a member for what it is about, under the number that it has.
    fn ask(&mut self, members: &[Member], ground: &mut Ground) {
        let Some(doing) = &mut self.doing else { return };
        doing.tries += 1;
        if doing.tries == 1 || ground.is_calm || ground.happens(ground.plan.move_on) {
            self.member = ground.rng.u64(1..=ground.plan.members);
        }
        let asks = members.iter().find(|member| member.id == self.member);
        let life = asks.map_or(0, |member| member.life);
        doing.request = ground.next_request();
        doing.asked = (self.member, life);
        let (request, place) = (doing.request, self.place);
        let ask = match &doing.want {
            Want::Key(key, Input::Get) => Ask::Read(name_of(*key)),
            want => Ask::Execute(Command {
                client: self.number,
                sequence: self.sequence + 1,
                operation: Some(operation_of(want)),
                request,
            }),
        };
        ground.note(20, [u64::try_from(place).unwrap_or(0), request, self.member], || {
            format!("client {place} asks member {} as {request}: {ask:?}", self.member)
        });
        let delay = ground.rng.u64(0..=3);
        ground.schedule(delay, Event::Member(self.member, life, MemberEvent::Ask(place, request, ask)));
        let timeout = ground.plan.request_timeout;
        ground.schedule(timeout, Event::Client(place, ClientEvent::Timeout(request)));
    }

    /// Nobody waits for the request any more.
    fn forget(&self, ground: &mut Ground) {
        if let Some(Doing { request, asked: (member, life), .. }) = self.doing {
            ground.schedule(1, Event::Member(member, life, MemberEvent::Forget(request)));
        }
    }

    fn give_up(&mut self, ground: &mut Ground) {
        if let Some(doing) = self.doing.take() {
            self.record(&doing, None, Output::Open);
        }
        // What comes of that number is nothing to the next one.
        self.number = 0;
        self.rest(ground);
    }

    fn end(&mut self, reply: Reply, ground: &mut Ground) {
        self.forget(ground);
        let Some(doing) = self.doing.take() else { return };
        ground.note(21, [u64::try_from(self.place).unwrap_or(0), doing.request, 0], || {
            format!("client {} is told of {}: {reply:?}", self.place, doing.request)
        });
        match (&doing.want, &reply) {
            (Want::Key(key, _), Reply::Got(entry)) => {
                let kept = kept_of(entry.as_ref());
                self.seen.insert(*key, kept.map(|(value, _)| value));
                self.record(&doing, Some(ground.now), Output::Got(kept));
            }
            (Want::Key(..), Reply::Done(Ok(answered))) => {
                let output = output_of(answered);
                self.record(&doing, Some(ground.now), output);
            }
            (Want::Lease(operation), Reply::Done(outcome)) => self.see_lease(operation, outcome),
            _ => {}
        }
        if let Reply::Done(outcome) = reply {
            self.sequence += 1;
            let is_about_number = |error: &&StoreError| {
                matches!(error, StoreError::ClientForgotten { .. } | StoreError::SequenceGap { .. })
            };
            if let Some(error) = outcome.as_ref().err().filter(is_about_number) {
                ground.fail("numbers are known", format!("client {}: {error}", self.place));
            }
        }
        self.is_served |= ground.is_calm;
        self.rest(ground);
    }

    fn see_lease(&mut self, operation: &Operation, outcome: &Outcome) {
        match (operation, outcome) {
            (Operation::LeaseGrant(_), Ok(Answered { answer: Some(Answer::Lease(lease)), .. })) => {
                self.lease = *lease;
            }
            (_, Err(_)) => self.lease = 0,
            _ => {}
        }
    }

    fn rest(&self, ground: &mut Ground) {
        let think = ground.plan.think.clone();
        let mut delay = ground.draw(&think);
        if self.is_about_leases {
            // Some leases live long and some are let go.
            delay += ground.rng.u64(0..=150);
        }
        ground.schedule(delay, Event::Client(self.place, ClientEvent::Wake));
    }

    fn record(&mut self, doing: &Doing, returned: Option<Time>, output: Output) {
        let Want::Key(key, input) = doing.want else { return };
        if input == Input::Get && output == Output::Open {
            return;
        }
        let act =
            Act { client: self.place, key, called: doing.called, returned, done_at: None, input, output };
        self.acts.push((act, (self.number, self.sequence + 1)));
    }

    /// Gives up what it is still about, at the end.
    pub(crate) fn close(&mut self) {
        if let Some(doing) = self.doing.take() {
            self.record(&doing, None, Output::Open);
        }
    }
}

fn name_of(key: u64) -> Bytes {
    format!("key/{key}").into()
}

fn value_of(value: u64) -> Bytes {
    value.to_be_bytes().to_vec().into()
}

fn kept_of(entry: Option<&KeyValue>) -> Kept {
    let entry = entry?;
    let value = entry.value[..].try_into().map_or(0, u64::from_be_bytes);
    Some((value, entry.version))
}

fn operation_of(want: &Want) -> Operation {
    let (key, input) = match want {
        Want::Lease(operation) => return operation.clone(),
        Want::Key(key, input) => (name_of(*key), *input),
    };
    let put = |value| Put { key: key.clone(), value: value_of(value), lease: 0 };
    match input {
        Input::Put(value) => Operation::Put(put(value)),
        Input::Get | Input::Delete => Operation::Delete(KeyRange::key(key)),
        Input::Swap(from, to) => {
            let compared = from.map_or(Compared::Version(0), |from| Compared::Value(value_of(from)));
            let compare =
                Compare { key: key.clone(), relation: Relation::Equal.into(), compared: Some(compared) };
            let then = TxnOperation::from(TxnStep::Put(put(to)));
            Operation::Txn(Txn { compares: vec![compare], then: vec![then], otherwise: Vec::new() })
        }
    }
}

fn output_of(answered: &Answered) -> Output {
    match &answered.answer {
        Some(Answer::Put(was_there)) => Output::Put(*was_there),
        Some(Answer::Deleted(count)) => Output::Deleted(*count > 0),
        Some(Answer::Txn(answer)) => Output::Swapped(answer.has_held),
        _ => Output::Open,
    }
}
