//! Extractors: what a handler may take as arguments.

use std::ops::Deref;
use std::sync::Arc;

use super::call::{Call, CallKind};
use super::parts::{AppParts, Needs};
use crate::error::{Error, Result};
use crate::group::Groups;
use crate::session::Session;
use crate::timer::Timers;

/// An argument of a handler: made of the call before the handler runs.
///
/// | argument | what it is | refused with |
/// |---|---|---|
/// | [`Session`] | the session the call came from | |
/// | [`Uid`] | the uid bound to it | 401 |
/// | [`Msg<T>`](super::Msg) | the payload, read by the serializer | 400 |
/// | [`Proto<T>`](super::Proto) | the payload, read as a protobuf message | 400 |
/// | [`Raw`](super::Raw) | the payload as bytes | |
/// | [`State<T>`] | a state of the application | the application does not start |
/// | [`Groups`], [`Timers`], [`Cluster`](crate::Cluster) | of the application | |
/// | [`Route`], [`CallKind`] | how it was called | |
/// | `Option<Uid>` | the uid, if there is one | |
/// | `Result<X>` | what `X` gives, or why it does not | |
///
/// One of your own:
///
/// ```
/// use dunlin::service::{Call, Extract};
/// use dunlin::{Error, Result};
///
/// #[derive(Clone, Copy)]
/// struct Admin;
///
/// impl Extract for Admin {
///     fn extract(call: &mut Call) -> Result<Self> {
///         call.session().get::<Admin>().ok_or_else(|| Error::forbidden("admins only"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "not an extractor",
    note = "to read the payload as `{Self}`, take `Msg(value): Msg<{Self}>` and derive `serde::Deserialize` for it",
    note = "a state of the application is taken as `State(state): State<{Self}>`"
)]
pub trait Extract: Sized + Send {
    /// Whether it reads the payload. A handler can have one such argument, because the payload is read once.
    const READS_BODY: bool = false;

    /// Makes the argument.
    ///
    /// # Errors
    ///
    /// What the client is answered when the call does not have what the argument needs.
    fn extract(call: &mut Call) -> Result<Self>;

    /// Tells what the argument needs, when the application is built.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// An argument of a hook or a tick, which belong to no call: [`State<T>`], [`Groups`], [`Timers`] or [`Cluster`](crate::Cluster).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a hook or tick",
    label = "not known without a call",
    note = "hooks and ticks belong to no call: they can take `State<T>`, `Groups`, `Timers` and `Cluster`"
)]
pub trait FromApp: Sized + Send {
    /// Takes the argument from the application.
    ///
    /// # Errors
    ///
    /// Why the application does not have it.
    fn from_app(app: &AppParts) -> Result<Self>;

    /// Tells what the argument needs, when the application is built.
    fn app_needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// The uid bound to the session. A session without one is refused with code 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uid(pub Arc<str>);

/// A state of the application, given to it as `app.state(value)`. An application without it does not start.
#[derive(Debug)]
pub struct State<T>(pub Arc<T>);

/// The name of the route that was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(pub Arc<str>);

impl Extract for Session {
    fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.session().clone())
    }
}

impl Extract for Uid {
    fn extract(call: &mut Call) -> Result<Self> {
        call.session().uid().map(Self).ok_or_else(|| Error::unauthenticated("log in first"))
    }
}

impl Extract for Option<Uid> {
    fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.session().uid().map(Uid))
    }
}

impl<T: Extract> Extract for Result<T> {
    const READS_BODY: bool = T::READS_BODY;

    fn extract(call: &mut Call) -> Result<Self> {
        Ok(T::extract(call))
    }

    fn needs(needs: &mut Needs) {
        T::needs(needs);
    }
}

impl Extract for Route {
    fn extract(call: &mut Call) -> Result<Self> {
        Ok(Self(call.entry().name().clone()))
    }
}

impl Extract for CallKind {
    fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.kind())
    }
}

impl<T: Send + Sync + 'static> Extract for State<T> {
    fn extract(call: &mut Call) -> Result<Self> {
        Self::from_app(call.entry().parts())
    }

    fn needs(needs: &mut Needs) {
        Self::app_needs(needs);
    }
}

impl Extract for Groups {
    fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.groups().clone())
    }
}

impl Extract for Timers {
    fn extract(call: &mut Call) -> Result<Self> {
        Ok(call.timers().clone())
    }
}

impl<T: Send + Sync + 'static> FromApp for State<T> {
    fn from_app(app: &AppParts) -> Result<Self> {
        // It was checked when the application was built; only a hand-written `Service` can have kept silent.
        let missing = || {
            Error::internal("internal error").with_cause(format!("no state `{}`", std::any::type_name::<T>()))
        };
        app.state().map(Self).ok_or_else(missing)
    }

    fn app_needs(needs: &mut Needs) {
        needs.state::<T>();
    }
}

impl FromApp for Groups {
    fn from_app(app: &AppParts) -> Result<Self> {
        Ok(app.groups().clone())
    }
}

impl FromApp for Timers {
    fn from_app(app: &AppParts) -> Result<Self> {
        Ok(app.timers().clone())
    }
}

impl Deref for Uid {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
