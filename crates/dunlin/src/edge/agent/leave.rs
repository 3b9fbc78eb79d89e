//! Ending a connection: what is still said, to whom, and when it is over.

use dunlin_wire::ws::{self, CloseFrame};

use super::{Agent, Fx, Link};
use crate::session::{CloseReason, Session};

impl Agent {
    /// Ends the session and says so to the client. What was written before still goes out.
    pub(crate) fn leave(&mut self, reason: &CloseReason, fx: &mut Fx<'_>) {
        let code = reason.websocket_code();
        self.leave_with_code(reason, code, fx);
    }

    pub(super) fn leave_with_code(&mut self, reason: &CloseReason, code: u16, fx: &mut Fx<'_>) {
        if self.is_leaving() {
            return;
        }
        let mut packet = Vec::new();
        let said = match reason {
            CloseReason::Kicked { reason } => dunlin_wire::encode_kick(reason, &mut packet),
            CloseReason::Shutdown if self.protocol.abilities().takes_away() => {
                dunlin_wire::encode_away(fx.app().gate.come_back_ms(), &mut packet)
            }
            _ => Ok(()),
        };
        // What is too long for a packet cannot be said; the connection ends without it.
        if said.is_ok() && !packet.is_empty() {
            self.write_packet(&packet, fx);
        }
        if self.link == Link::WebSocket {
            ws::encode_close(fx.out, code, &reason.to_string(), None);
        }
        // A client that reads nothing would not read the rest either.
        let next = if *reason == CloseReason::TooSlow { Link::Gone } else { Link::Leaving };
        self.finish(reason, fx);
        self.link = next;
        self.deadline = fx.now.plus(fx.app().gate.linger_ms);
    }

    /// Ends a session that is to end while nothing can be written to its client. One that reads too slowly goes at once,
    /// others when what was queued before is written, which may not take for ever.
    pub(super) fn hurry(&mut self, fx: &mut Fx<'_>) {
        let Some(reason) = self.session.as_ref().and_then(Session::closing) else { return };
        if reason == CloseReason::TooSlow || !self.is_opened {
            return self.leave(&reason, fx);
        }
        if !self.is_ending {
            self.is_ending = true;
            self.deadline = fx.now.plus(fx.app().gate.write_timeout_ms);
            fx.wake_by(self.deadline);
        }
    }

    /// Ends a session whose connection is gone: nothing can be said any more.
    pub(crate) fn vanish(&mut self, reason: &CloseReason, fx: &mut Fx<'_>) {
        if !self.is_leaving() {
            self.finish(reason, fx);
        }
        self.link = Link::Gone;
    }

    /// The client's own goodbye: its code is sent back, as RFC 6455 asks, and the connection ends.
    pub(super) fn handle_close_frame(&mut self, frame: Option<&CloseFrame>, fx: &mut Fx<'_>) {
        let code = frame.map_or(1000, |frame| frame.code);
        ws::encode_close(fx.out, code, "", None);
        self.finish(&CloseReason::ByClient, fx);
        self.link = Link::Leaving;
        self.deadline = fx.now.plus(fx.app().gate.linger_ms);
    }

    /// The client has not come through its handshake in time.
    pub(super) fn miss_deadline(&mut self, fx: &mut Fx<'_>) {
        fx.app().stats.handshakes_timed_out.add(1);
        if self.link == Link::Head {
            return self.refuse_http(408, "the request took too long", fx);
        }
        let fault = "no handshake in time".to_owned();
        self.leave(&CloseReason::Protocol { fault }, fx);
    }

    pub(super) fn leave_if_drained(&mut self, fx: &mut Fx<'_>) {
        if !self.is_draining || self.unanswered > 0 {
            return;
        }
        match &self.session {
            // What is queued for the client still goes out first. It may be ending for another reason already.
            Some(session) => drop(session.end(CloseReason::Shutdown)),
            None => self.leave(&CloseReason::Shutdown, fx),
        }
    }

    fn finish(&mut self, reason: &CloseReason, fx: &Fx<'_>) {
        self.side = None;
        self.protocol.refuse();
        if let CloseReason::Protocol { fault } = reason {
            fx.app().stats.protocol_faults.add(1);
            tracing::debug!(peer = ?(fx.peer)(), fault, "the client broke the protocol");
        }
        let Some(session) = self.session.take() else { return };
        session.finish(reason, || {
            if self.is_opened {
                fx.app().hooks.closed(&session, reason, &fx.app().stats);
            }
        });
    }
}
