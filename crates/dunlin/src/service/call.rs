//! One call on its way to its handler, and what comes back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::{RouteEntry, RouteInfo};
use crate::error::Error;
use crate::group::Groups;
use crate::serializer::SerializerKind;
use crate::session::Session;
use crate::timer::Timers;

/// Whether the client waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
// As wide as what it is moved with: a byte that is read back with its padding makes the processor wait.
#[repr(usize)]
pub enum CallKind {
    /// The client waits for exactly one answer.
    Request,
    /// Nobody waits; what the handler answers is dropped.
    Notify,
}

/// One call of a client: whose it is, its route and its payload. Layers and extractors see it.
pub struct Call {
    session: Session,
    entry: Arc<RouteEntry>,
    kind: CallKind,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(session: Session, entry: Arc<RouteEntry>, kind: CallKind, body: Bytes) -> Self {
        Self { session, entry, kind, body }
    }

    /// The session the call came from.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The route's name.
    #[must_use]
    pub fn route(&self) -> &str {
        self.entry.name()
    }

    /// What is known of the route.
    #[must_use]
    pub fn info(&self) -> &RouteInfo {
        self.entry.info()
    }

    /// Whether the client waits for an answer.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// The payload; empty once an extractor has taken it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Takes the payload without copying it.
    #[must_use]
    pub fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }

    /// Puts another payload in place of the one that came.
    pub fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }

    /// The serializer of the route.
    #[must_use]
    pub fn serializer(&self) -> &SerializerKind {
        self.entry.serializer()
    }

    /// The application's state of type `T`, if it was given one.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.entry.parts().state()
    }

    /// The groups of the application.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        self.entry.parts().groups()
    }

    /// The timers of the application.
    #[must_use]
    pub fn timers(&self) -> &Timers {
        self.entry.parts().timers()
    }

    pub(crate) fn entry(&self) -> &Arc<RouteEntry> {
        &self.entry
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("session", &self.session.id())
            .field("route", &self.route())
            .field("kind", &self.kind)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// An answer that is serialised already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    body: Bytes,
    form: Form,
}

/// What the bytes of a reply are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
// Wide for the same reason as `CallKind`.
#[repr(usize)]
enum Form {
    #[default]
    Raw,
    Text,
}

impl Reply {
    /// An answer of bytes that reach the client as they are.
    #[must_use]
    pub fn raw(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), form: Form::Raw }
    }

    /// An answer of JSON text, escaped for clients that cannot read all of UTF-8.
    #[must_use]
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), form: Form::Text }
    }

    /// What a notify is answered with: nothing, for nobody.
    #[must_use]
    pub const fn empty() -> Self {
        Self { body: Bytes::new(), form: Form::Raw }
    }

    /// The payload.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The payload, taken out.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// Whether it is JSON text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.form == Form::Text
    }
}

/// The future of one call: it ends with what the client is answered.
pub type CallFuture = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'static>>;

/// Whatever takes a call and answers it.
pub trait Handler: Send + Sync + 'static {
    /// Answers a call. The future does the work; this must not block.
    fn call(&self, call: Call) -> CallFuture;
}

impl<F: Fn(Call) -> CallFuture + Send + Sync + 'static> Handler for F {
    fn call(&self, call: Call) -> CallFuture {
        self(call)
    }
}
