//! From messages to calls, and from calls to answers.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use dunlin_wire::{Message, MessageHead, Route};

use super::super::ShardHandle;
use super::super::calls::Outcome;
use super::leftover::Queued;
use super::{Agent, CallLabel, Fx, Link};
use crate::error::Error;
use crate::service::{CallKind, Reply, RouteEntry};
use crate::session::CloseReason;

impl Agent {
    pub(super) fn handle_message(&mut self, body: &[u8], fx: &mut Fx<'_>) {
        let message = match dunlin_wire::decode_message(body) {
            Ok(message) => message,
            Err(error) => return self.leave(&CloseReason::Protocol { fault: error.to_string() }, fx),
        };
        fx.shard.stats.messages_in.add(1);
        let Message { head, is_compressed, payload } = message;
        let (kind, id, route) = match head {
            MessageHead::Request { id, route } => (CallKind::Request, id, route),
            MessageHead::Notify { route } => (CallKind::Notify, 0, route),
            MessageHead::Response { .. } | MessageHead::Push { .. } => {
                let fault = "a response or push came from a client".to_owned();
                return self.leave(&CloseReason::Protocol { fault }, fx);
            }
        };
        let shard = fx.shard;
        let fallback;
        let entry = match (resolve(&route, shard), &route) {
            (Some(entry), _) => entry,
            (None, Route::Name(name)) => {
                fallback = shard.router.fallback(name);
                let Some(entry) = &fallback else { return self.answer_unknown_route((kind, id), fx) };
                entry
            }
            (None, Route::Code(_)) => return self.answer_unknown_route((kind, id), fx),
        };
        let payload = if is_compressed {
            match dunlin_wire::inflate(payload, fx.app().gate.inflated_len_max) {
                Ok(inflated) => Bytes::from(inflated),
                Err(error) => return self.answer((kind, id), Err(Error::bad_request(error.to_string())), fx),
            }
        } else {
            Bytes::copy_from_slice(payload)
        };
        if (self.is_busy || self.has_queued()) && !entry.is_concurrent() {
            self.unanswered += 1;
            self.enqueue(Queued { entry: entry.clone(), kind, id, body: payload });
        } else {
            self.start(entry, (kind, id), payload, fx);
        }
    }

    fn answer_unknown_route(&mut self, call: (CallKind, u64), fx: &mut Fx<'_>) {
        // Neither counted nor logged by name: a client can make up as many routes as it likes.
        fx.app().stats.unknown_routes.add(1);
        self.answer(call, Err(Error::not_found("nobody serves this route")), fx);
    }

    /// Starts a call. One that does not have to wait is answered before this returns.
    fn start(&mut self, entry: &Arc<RouteEntry>, (kind, id): (CallKind, u64), body: Bytes, fx: &mut Fx<'_>) {
        let Some(session) = self.session.clone() else { return };
        let future = fx.shard.router.call(entry, session, kind, body);
        let is_ordered = !entry.is_concurrent();
        let label = || CallLabel { entry: entry.clone(), kind, id, is_ordered };
        match fx.user.calls.start(fx.key, label, future) {
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
        let result = match outcome {
            Outcome::Returned(result) => result,
            Outcome::Panicked => {
                fx.app().stats.panics.add(1);
                tracing::error!(route = %entry.name(), "a handler panicked");
                Err(Error::internal("internal error"))
            }
            Outcome::TimedOut => {
                fx.app().stats.timeouts.add(1);
                tracing::warn!(route = %entry.name(), "a handler took too long and was dropped");
                Err(Error::timeout("the handler did not finish in time"))
            }
            Outcome::Crowded => {
                fx.app().stats.overloads.add(1);
                Err(Error::overloaded("too many calls are waiting"))
            }
        };
        self.answer(call, result, fx);
    }

    /// Writes the one answer of a request; what a notify returns goes nowhere.
    fn answer(&mut self, (kind, id): (CallKind, u64), result: Result<Reply, Error>, fx: &mut Fx<'_>) {
        if let Err(error) = &result {
            fx.app().stats.errors.add(1);
            tracing::debug!(id, code = error.code(), message = error.message(), "a call failed");
        }
        if kind == CallKind::Notify || self.is_leaving() {
            return;
        }
        match result {
            Ok(reply) => {
                let app = &fx.shard.app;
                let body = app.body_for(self.protocol.abilities(), reply.body(), reply.is_text());
                if self
                    .write_answer(
                        &MessageHead::Response { id, is_error: false },
                        body.is_compressed,
                        &body.bytes,
                        fx,
                    )
                    .is_err()
                {
                    tracing::error!(id, bytes = body.bytes.len(), "an answer is longer than a packet may be");
                    self.write_error(id, &Error::internal("internal error"), fx);
                }
            }
            Err(error) => self.write_error(id, &error, fx),
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

    fn write_answer(
        &mut self,
        head: &MessageHead<'_>,
        is_compressed: bool,
        body: &[u8],
        fx: &mut Fx<'_>,
    ) -> Result<(), dunlin_wire::EncodeError> {
        let body_len_max = fx.app().gate.packet_body_out_max;
        fx.shard.stats.answers_out.add(1);
        if fx.is_blocked {
            let mut packet = Vec::with_capacity(dunlin_wire::data_packet_len(head, body.len()));
            dunlin_wire::encode_data_packet(head, is_compressed, body, body_len_max, &mut packet)?;
            if let Some(session) = &self.session {
                // A refusal marks the session to end as too slow, which the next look at it carries out.
                session.queue_answer(Bytes::from(packet));
            }
            return Ok(());
        }
        // What the handler pushed before it returned comes first, all of it: the queue is bounded. If it also asked
        // for the session's end, that comes after the answer.
        if let (Some(_), Some(session)) = (self.take_output(usize::MAX, fx), &self.session) {
            session.raise_dirty();
        }
        let start = fx.out.len();
        if self.link == Link::WebSocket {
            let packet_len = dunlin_wire::data_packet_len(head, body.len());
            let header =
                dunlin_wire::ws::frame_header(dunlin_wire::ws::Opcode::Binary, true, packet_len, None);
            fx.out.extend_from_slice(header.as_slice());
        }
        let encoded = dunlin_wire::encode_data_packet(head, is_compressed, body, body_len_max, fx.out);
        if encoded.is_err() {
            fx.out.truncate(start);
        }
        encoded
    }
}

/// Finds the route's entry by its name or by its dictionary code.
fn resolve<'a>(route: &Route<'_>, shard: &'a ShardHandle) -> Option<&'a Arc<RouteEntry>> {
    match route {
        Route::Name(name) => shard.router.lookup(name),
        Route::Code(code) => shard.routes_by_code.get(*code),
    }
}
