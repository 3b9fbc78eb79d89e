//! From messages to calls, and from calls to answers.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use dunlin_wire::{EncodeError, Incoming, MessageError, MessageHead, Route, RouteBytes};

use super::super::ShardHandle;
use super::super::calls::Outcome;
use super::leftover::Queued;
use super::{Agent, CallLabel, Fx, Link, UserCode};
use crate::error::Error;
use crate::service::{Call, CallKind, Reply, RouteEntry, Started};
use crate::session::CloseReason;

impl Agent {
    pub(super) fn handle_message(&mut self, body: &[u8], fx: &mut Fx<'_>) {
        let message = match dunlin_wire::decode_incoming(body) {
            Ok(message) => message,
            Err(error) => return self.leave(&CloseReason::Protocol { fault: error.to_string() }, fx),
        };
        fx.shard.stats.messages_in.add(1);
        let Incoming { id, route, is_compressed, payload } = message;
        let call = id.map_or((CallKind::Notify, 0), |id| (CallKind::Request, id));
        let shard = fx.shard;
        let other;
        let entry = if let Some(entry) = resolve(route, shard) {
            entry
        } else {
            other = match resolve_slowly(route, shard) {
                Ok(entry) => entry,
                Err(error) => return self.leave(&CloseReason::Protocol { fault: error.to_string() }, fx),
            };
            let Some(entry) = &other else { return self.answer_unknown_route(call, fx) };
            entry
        };
        if entry.is_internal() {
            return self.answer_unknown_route(call, fx);
        }
        let payload = if is_compressed {
            match dunlin_wire::inflate(payload, fx.app().gate.inflated_len_max) {
                Ok(inflated) => Bytes::from(inflated),
                Err(error) => return self.answer_error(call, &Error::bad_request(error.to_string()), fx),
            }
        } else {
            Bytes::copy_from_slice(payload)
        };
        if (self.is_busy || self.has_queued()) && !entry.is_concurrent() {
            self.unanswered += 1;
            let (kind, id) = call;
            self.enqueue(Queued { entry: entry.clone(), kind, id, body: payload });
        } else {
            self.start(entry, call, payload, fx);
        }
    }

    fn answer_unknown_route(&mut self, call: (CallKind, u64), fx: &mut Fx<'_>) {
        // Neither counted nor logged by name: a client can make up as many routes as it likes.
        fx.app().stats.unknown_routes.add(1);
        self.answer_error(call, &Error::not_found("nobody serves this route"), fx);
    }

    /// Starts a call. One that does not have to wait is answered before this returns.
    fn start(&mut self, entry: &Arc<RouteEntry>, (kind, id): (CallKind, u64), body: Bytes, fx: &mut Fx<'_>) {
        let Some(session) = self.session.clone() else { return };
        let is_ordered = entry.keeps_its_turn();
        let begun = Call::new(session, entry.clone(), kind, body);
        let UserCode { calls, starters, .. } = &mut *fx.user;
        let started = match fx.shard.router.start(begun, starters) {
            // What nearly always happens goes the short way.
            Started::Done(Ok(reply)) => return self.answer((kind, id), &reply, fx),
            started => started,
        };
        let label = || CallLabel { entry: entry.clone(), kind, id, is_ordered };
        match calls.keep(fx.key, label, started) {
            Poll::Ready(outcome) => self.answer_outcome(entry, (kind, id), outcome, fx),
            Poll::Pending => {
                self.unanswered += 1;
                self.is_busy |= is_ordered;
            }
        }
    }

    /// Starts the messages that waited for an ordered call, until one of them has to wait itself, the socket takes
    /// nothing, or the turn has done enough.
    pub(super) fn start_queued(&mut self, fx: &mut Fx<'_>) {
        while !self.is_busy && !self.is_leaving() && !self.is_choked(fx) {
            let Some(queued) = self.dequeue() else { break };
            self.unanswered = self.unanswered.saturating_sub(1);
            *fx.credit = fx.credit.saturating_sub(1);
            let Queued { entry, kind, id, body } = queued;
            self.start(&entry, (kind, id), body, fx);
        }
        self.drop_empty_side();
    }

    pub(super) fn answer_outcome(
        &mut self,
        entry: &Arc<RouteEntry>,
        call: (CallKind, u64),
        outcome: Outcome<Result<Reply, Error>>,
        fx: &mut Fx<'_>,
    ) {
        match outcome.settle(entry.name(), &fx.app().stats) {
            Ok(reply) => self.answer(call, &reply, fx),
            Err(error) => self.answer_error(call, &error, fx),
        }
    }

    /// Writes the one answer of a request; what a notify returns goes nowhere.
    fn answer(&mut self, (kind, id): (CallKind, u64), reply: &Reply, fx: &mut Fx<'_>) {
        if kind == CallKind::Notify || self.is_leaving() {
            return;
        }
        let app = &fx.shard.app;
        let body = app.body_for(self.protocol.abilities(), reply.body(), reply.is_text());
        let head = MessageHead::Response { id, is_error: false };
        if self.write_answer(&head, body.is_compressed, &body.bytes, fx).is_err() {
            tracing::error!(id, bytes = body.bytes.len(), "an answer is longer than a packet may be");
            self.write_error(id, &Error::internal("internal error"), fx);
        }
    }

    #[cold]
    fn answer_error(&mut self, (kind, id): (CallKind, u64), error: &Error, fx: &mut Fx<'_>) {
        fx.app().stats.errors.add(1);
        tracing::debug!(id, code = error.code(), message = error.message(), "a call failed");
        if kind == CallKind::Request && !self.is_leaving() {
            self.write_error(id, error, fx);
        }
    }

    fn write_error(&mut self, id: u64, error: &Error, fx: &mut Fx<'_>) {
        let Some(session) = &self.session else { return };
        let body = fx.app().error_body(error, session);
        let head = MessageHead::Response { id, is_error: self.protocol.abilities().takes_error_flag() };
        if self.write_answer(&head, false, &body, fx).is_err() {
            tracing::error!(id, bytes = body.len(), "an error's details are longer than a packet may be");
            self.leave(&CloseReason::ByServer, fx);
        }
    }

    #[inline]
    fn write_answer(
        &mut self,
        head: &MessageHead<'_>,
        is_compressed: bool,
        body: &[u8],
        fx: &mut Fx<'_>,
    ) -> Result<(), EncodeError> {
        let body_len_max = fx.app().gate.packet_body_out_max;
        fx.shard.stats.answers_out.add(1);
        if fx.is_blocked {
            return self.queue_answer(head, is_compressed, body, body_len_max);
        }
        // What the handler pushed before it returned comes first, all of it: the queue is bounded. If it also asked
        // for the session's end, that comes after the answer.
        if let (Some(_), Some(session)) = (self.take_output(usize::MAX, fx), &self.session) {
            session.raise_dirty();
        }
        if self.link == Link::WebSocket {
            dunlin_wire::encode_data_frame(head, is_compressed, body, body_len_max, fx.out)
        } else {
            dunlin_wire::encode_data_packet(head, is_compressed, body, body_len_max, fx.out)
        }
    }

    /// Puts an answer behind what waits for the socket.
    #[cold]
    fn queue_answer(
        &self,
        head: &MessageHead<'_>,
        is_compressed: bool,
        body: &[u8],
        body_len_max: usize,
    ) -> Result<(), EncodeError> {
        let mut packet = Vec::with_capacity(dunlin_wire::data_packet_len(head, body.len()));
        dunlin_wire::encode_data_packet(head, is_compressed, body, body_len_max, &mut packet)?;
        if let Some(session) = &self.session {
            // A refusal marks the session to end as too slow, which the next look at it carries out.
            session.queue_answer(Bytes::from(packet));
        }
        Ok(())
    }
}

/// Finds the route's entry by its dictionary code, or by its name as it came.
fn resolve<'a>(route: RouteBytes<'_>, shard: &'a ShardHandle) -> Option<&'a Arc<RouteEntry>> {
    match route {
        RouteBytes::Name(name) => shard.router.lookup(name),
        RouteBytes::Code(code) => shard.routes_by_code.get(code),
    }
}

/// Finds the entry of a route that has none by its name as it came: once the name is read as text it may have one, another
/// node may, or the fallback takes it.
#[cold]
fn resolve_slowly(
    route: RouteBytes<'_>,
    shard: &ShardHandle,
) -> Result<Option<Arc<RouteEntry>>, MessageError> {
    let Route::Name(name) = route.read()? else { return Ok(None) };
    let entry = shard.router.lookup(name.as_bytes()).cloned();
    let entry = entry.or_else(|| shard.app.cluster.get()?.entry(&name));
    Ok(entry.or_else(|| shard.router.fallback(&name)))
}
