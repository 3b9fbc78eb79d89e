//! Letting a client in: its handshake is read, the application may refuse it, and it is told what it has to know.

use std::task::Poll;

use dunlin_wire::{ClientAbilities, ClientKind, HandshakeRequest, HandshakeResponse, PacketKind};

use super::super::calls::Outcome;
use super::{Agent, Fx, Link};
use crate::app::{Admission, Admitted, Refusal};
use crate::service::Started;
use crate::session::{CloseReason, Home, Session, SessionSeed, Transport};

impl Agent {
    pub(super) fn handle_handshake(&mut self, body: &[u8], fx: &mut Fx<'_>) {
        let request = match HandshakeRequest::parse(body) {
            Ok(request) => request,
            Err(error) => {
                let fault = error.to_string();
                return self.refuse(&Refusal::new(500, "the handshake is not JSON"), fault, fx);
            }
        };
        let kind = ClientKind::of(&request.sys);
        let abilities = ClientAbilities::from(&request.sys);
        self.protocol.set_abilities(abilities);
        let session = Session::new(SessionSeed {
            id: fx.app().session_ids.next(),
            home: Home::Shard { shard: fx.shard.clone(), slot: fx.key },
            remote_addr: (fx.peer)(),
            transport: if self.link == Link::WebSocket { Transport::WebSocket } else { Transport::Tcp },
            abilities,
            is_pitaya: kind == ClientKind::Pitaya,
        });
        self.session = Some(session.clone());
        let caps = fx.app().granted_caps(&request.sys);
        match fx.app().validator.clone() {
            None => self.admit(Admitted::default(), caps, fx),
            Some(validator) => {
                // Within the future, so that whoever polls it contains a panic of the validator.
                let future = Box::pin(async move { validator.validate(session, request).await });
                let started = Started::polled(future);
                if let Poll::Ready(outcome) = fx.user.admissions.keep(fx.key, || caps.clone(), started) {
                    self.handle_admission(outcome, caps, fx);
                }
            }
        }
    }

    /// Takes the word of the application's validator; `caps` are the extensions the client is granted if it is let in.
    pub(crate) fn handle_admission(
        &mut self,
        outcome: Outcome<Admission>,
        caps: Vec<String>,
        fx: &mut Fx<'_>,
    ) {
        if self.is_leaving() {
            return;
        }
        match outcome {
            Outcome::Returned(Ok(admitted)) => self.admit(admitted, caps, fx),
            Outcome::Returned(Err(refusal)) => {
                let fault = format!("refused by the application with code {}", refusal.code());
                self.refuse(&refusal, fault, fx);
            }
            Outcome::Panicked => {
                self.refuse(&Refusal::new(500, "internal error"), "the validator panicked".into(), fx);
            }
            Outcome::TimedOut => {
                self.refuse(&Refusal::new(504, "timed out"), "the validator took too long".into(), fx);
            }
            Outcome::Crowded => {
                self.refuse(
                    &Refusal::new(503, "try again later"),
                    "too many handshakes are waiting".into(),
                    fx,
                );
            }
        }
    }

    fn admit(&mut self, admitted: Admitted, caps: Vec<String>, fx: &mut Fx<'_>) {
        let Some(session) = self.session.clone() else { return };
        let response = fx.app().welcome(&session, caps, admitted.into_user());
        let mut body = Vec::with_capacity(128);
        response.encode(&mut body);
        self.protocol.accept(fx.now);
        self.write_handshake(&body, fx);
    }

    /// Tells the client why it is not let in, and leaves.
    fn refuse(&mut self, refusal: &Refusal, fault: String, fx: &mut Fx<'_>) {
        fx.app().stats.handshakes_refused.add(1);
        let is_pitaya = self.session.as_ref().is_some_and(Session::is_pitaya);
        // pitaya's clients know 400 where pomelo's know 500.
        let code = if is_pitaya && refusal.code() == 500 { 400 } else { refusal.code() };
        let response = HandshakeResponse {
            code,
            message: Some(refusal.message().to_owned()),
            user: refusal.user().cloned(),
            sys: is_pitaya.then(Default::default),
        };
        let mut body = Vec::with_capacity(64);
        response.encode(&mut body);
        self.write_handshake(&body, fx);
        self.leave(&CloseReason::Protocol { fault }, fx);
    }

    fn write_handshake(&self, body: &[u8], fx: &mut Fx<'_>) {
        let mut packet = Vec::with_capacity(body.len() + dunlin_wire::PACKET_HEADER_LEN);
        if dunlin_wire::encode_packet(PacketKind::Handshake, body, &mut packet).is_ok() {
            self.write_packet(&packet, fx);
        } else {
            tracing::error!(bytes = body.len(), "the handshake's answer is longer than a packet may be");
        }
    }
}
