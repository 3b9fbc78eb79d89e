//! Who is let in: the application's word on a client's handshake.

use std::future::Future;
use std::pin::Pin;

use dunlin_wire::HandshakeRequest;
use serde_json::Value;

use crate::session::Session;

/// Lets a client in, with what it is told as `user` in the handshake's answer.
#[derive(Debug, Clone, Default)]
pub struct Admitted {
    user: Option<Value>,
}

impl Admitted {
    /// Lets the client in and tells it nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the client something in the handshake's answer.
    #[must_use]
    pub fn with_user(user: impl Into<Value>) -> Self {
        Self { user: Some(user.into()) }
    }

    pub(crate) fn into_user(self) -> Option<Value> {
        self.user
    }
}

/// Refuses a client: it is told code and message, and disconnected.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    code: u16,
    message: String,
    user: Option<Value>,
}

impl Refusal {
    /// A refusal. Clients of pomelo know 500 and, for a client that is too old, 501; those of pitaya know 400. 200
    /// would let the client in and is sent as 500.
    #[must_use]
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        let code = if code == 200 { 500 } else { code };
        Self { code, message: message.into(), user: None }
    }

    /// Adds something for the client's program, such as where to find an update.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<Value>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The code the client is told.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The message the client is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What else the client is told.
    #[must_use]
    pub fn user(&self) -> Option<&Value> {
        self.user.as_ref()
    }
}

/// What a validator says of a client.
pub type Admission = Result<Admitted, Refusal>;

type AdmissionFuture = Pin<Box<dyn Future<Output = Admission> + Send>>;

/// Decides on a client by its handshake, before anything else reaches the application.
pub(crate) trait Validate: Send + Sync {
    fn validate(&self, session: Session, request: HandshakeRequest) -> AdmissionFuture;
}

impl<F, Fut> Validate for F
where
    F: Fn(Session, HandshakeRequest) -> Fut + Send + Sync,
    Fut: Future<Output = Admission> + Send + 'static,
{
    fn validate(&self, session: Session, request: HandshakeRequest) -> AdmissionFuture {
        Box::pin(self(session, request))
    }
}
