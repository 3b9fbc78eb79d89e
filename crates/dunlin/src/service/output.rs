//! What a handler may return, and how it becomes an answer.

use super::call::{Call, CallKind, Reply};
use super::parts::Needs;
use super::payload::IntoReply;
use crate::error::{Chain, Error, Result};

/// What a request's handler returns: a `Result`, so that an answer cannot be forgotten.
#[diagnostic::on_unimplemented(
    message = "a request must return `Result<T>`, where `T: serde::Serialize`, not `{Self}`",
    label = "not an answer",
    note = "the client waits for exactly one answer: a value (`Ok`) or an error (`Err`); nothing to say is `Ok(())`"
)]
pub trait RequestOutput: Send + 'static {
    /// Makes the answer.
    ///
    /// # Errors
    ///
    /// The handler's error, or code 500 when its value cannot be serialised.
    fn finish(self, call: &Call) -> Result<Reply>;

    /// Tells what the answer needs, when the application is built.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// What a notify, a hook or a tick returns: nothing, or a `Result` of nothing.
#[diagnostic::on_unimplemented(
    message = "a notify, hook or tick must return nothing or `Result<()>`, not `{Self}`",
    label = "nobody waits for this value",
    note = "to answer the client, make it a request; to tell it something later, push an event"
)]
pub trait NotifyOutput: Send + 'static {
    /// The outcome, for logs and layers.
    ///
    /// # Errors
    ///
    /// The handler's error.
    fn outcome(self) -> Result<()>;
}

impl<T, E> RequestOutput for Result<T, E>
where
    T: IntoReply + Send + 'static,
    E: Into<Error> + Send + 'static,
{
    fn finish(self, call: &Call) -> Result<Reply> {
        match self {
            Ok(value) => value.into_reply(call.serializer()).map_err(|error| logged(call, error)),
            Err(error) => Err(logged(call, error.into())),
        }
    }

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}

impl NotifyOutput for () {
    fn outcome(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Error> + Send + 'static> NotifyOutput for Result<(), E> {
    fn outcome(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// Finishes a call whose handler does not answer. A client that asked all the same gets an empty value.
///
/// # Errors
///
/// The handler's error.
pub fn finish_notify<R: NotifyOutput>(output: R, call: &Call) -> Result<Reply> {
    output.outcome().map_err(|error| logged(call, error))?;
    match call.kind() {
        CallKind::Notify => Ok(Reply::empty()),
        CallKind::Request => ().into_reply(call.serializer()),
    }
}

/// Logs the cause of an error that the client will not be told.
fn logged(call: &Call, error: Error) -> Error {
    if let Some(cause) = error.cause() {
        tracing::error!(
            route = call.route(),
            session = %call.session().id(),
            code = error.code(),
            cause = %Chain(cause),
            "a handler failed"
        );
    }
    error
}
