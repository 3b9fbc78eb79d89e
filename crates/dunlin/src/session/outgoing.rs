//! One push on its way to one client or to many: encoded at most once for each form that clients need.
//!
//! A packet differs between clients in three ways: whether the route goes as its dictionary code, whether characters
//! outside the basic plane are escaped for clients that decode text one UTF-16 unit at a time, and whether the body
//! may be compressed. The eight forms are made when the first client needs them and shared by all others.

use std::borrow::Cow;

use bytes::Bytes;
use dunlin_cluster::frame::Push;
use dunlin_wire::{ClientAbilities, MessageHead, Route};

use super::Session;
use crate::app::Shared;
use crate::event::Event;
use crate::serializer::SerializeError;

/// Why a push was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The session is over.
    #[error("the session is closed")]
    Closed,
    /// The client's send queue is full.
    #[error("the send queue of the client is full")]
    QueueFull {
        /// Whether the client is being disconnected for it.
        disconnecting: bool,
    },
    /// The node that the client is connected to is not reached now.
    #[error("the node of the client is not reached")]
    Unreachable,
    /// The route or the body is longer than a packet may be.
    #[error("the push on route `{route}` is longer than a packet may be")]
    TooLong {
        /// The push's route.
        route: String,
    },
    /// The event could not be serialised.
    #[error("the event for route `{route}` could not be serialised")]
    Serialize {
        /// The push's route.
        route: String,
        /// What the serializer said.
        #[source]
        source: SerializeError,
    },
}

/// A push that is being sent.
pub(crate) struct Outgoing<'a> {
    app: &'a Shared,
    route: Cow<'a, str>,
    body: Bytes,
    is_text: bool,
    key: Option<u64>,
    forms: [Option<Bytes>; 8],
}

impl<'a> Outgoing<'a> {
    /// Serialises an event with the application's serializer.
    pub(crate) fn event<E: Event>(app: &'a Shared, event: &E) -> Result<Self, PushError> {
        let mut body = Vec::new();
        event
            .encode(&app.serializer, &mut body)
            .map_err(|source| PushError::Serialize { route: E::ROUTE.to_owned(), source })?;
        let is_text = app.serializer.is_text();
        Ok(Self {
            app,
            route: Cow::Borrowed(E::ROUTE),
            body: Bytes::from(body),
            is_text,
            key: event.coalesce_key(),
            forms: Default::default(),
        })
    }

    /// Takes a body as it is.
    pub(crate) fn raw(app: &'a Shared, route: &'a str, body: Bytes) -> Self {
        Self { app, route: Cow::Borrowed(route), body, is_text: false, key: None, forms: Default::default() }
    }

    /// Takes what another node pushes.
    pub(crate) fn forwarded(app: &'a Shared, push: &'a Push) -> Self {
        Self {
            app,
            route: Cow::Borrowed(&push.route),
            body: push.body.clone(),
            is_text: push.is_text,
            key: push.coalesce_key,
            forms: Default::default(),
        }
    }

    /// The push for sessions of another node; `None` when a filter of the application holds it back.
    pub(crate) fn frame_for(&self, session: &Session, sessions: Vec<u64>) -> Option<Push> {
        let mut body = self.body.clone();
        if !self.app.push_filters.is_empty() && !self.app.push_filters.pass(session, &self.route, &mut body) {
            return None;
        }
        Some(Push { body, ..self.frame_to_all(sessions) })
    }

    /// The push for sessions of another node that are all pushed the same.
    pub(crate) fn frame_to_all(&self, sessions: Vec<u64>) -> Push {
        let (route, body) = (self.route.clone().into_owned(), self.body.clone());
        Push { sessions, route, body, is_text: self.is_text, coalesce_key: self.key }
    }

    /// Whether every session is pushed the same.
    pub(crate) fn is_same_for_all(&self) -> bool {
        self.app.push_filters.is_empty()
    }

    pub(crate) fn key(&self) -> Option<u64> {
        self.key
    }

    /// The packet for this client; `None` when a filter of the application holds the push back.
    pub(crate) fn packet_for(&mut self, session: &Session) -> Result<Option<Bytes>, PushError> {
        let abilities = session.abilities();
        if !self.app.push_filters.is_empty() {
            let mut body = self.body.clone();
            if !self.app.push_filters.pass(session, &self.route, &mut body) {
                return Ok(None);
            }
            if body != self.body {
                return self.encode(abilities, &body).map(Some);
            }
        }
        let form = form_of(abilities);
        if let Some(Some(packet)) = self.forms.get(form) {
            return Ok(Some(packet.clone()));
        }
        let packet = self.encode(abilities, &self.body)?;
        if let Some(slot) = self.forms.get_mut(form) {
            *slot = Some(packet.clone());
        }
        Ok(Some(packet))
    }

    fn encode(&self, abilities: ClientAbilities, body: &[u8]) -> Result<Bytes, PushError> {
        let code = if abilities.takes_dictionary() { self.app.code_of(&self.route) } else { None };
        let route = code.map_or_else(|| Route::Name(Cow::Borrowed(&*self.route)), Route::Code);
        let body = self.app.body_for(abilities, body, self.is_text);
        let head = MessageHead::Push { route };
        let mut packet = Vec::with_capacity(dunlin_wire::data_packet_len(&head, body.bytes.len()));
        dunlin_wire::encode_data_packet(
            &head,
            body.is_compressed,
            &body.bytes,
            self.app.gate.packet_body_out_max,
            &mut packet,
        )
        .map_err(|_| PushError::TooLong { route: self.route.clone().into_owned() })?;
        Ok(Bytes::from(packet))
    }
}

fn form_of(abilities: ClientAbilities) -> usize {
    usize::from(abilities.takes_dictionary())
        | usize::from(abilities.needs_ascii_text()) << 1
        | usize::from(abilities.takes_compressed_body()) << 2
}
