//! Layers: what happens around every call, as tower knows it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;

use super::call::{Call, CallFuture, Reply};
use super::entry::RouteEntry;
use crate::error::Error;

/// The rest of the way to the handler, as a layer sees it. Cloning is cheap.
///
/// ```
/// use std::task::{Context, Poll};
///
/// use dunlin::service::{Call, CallFuture, CallService, Reply};
/// use dunlin::Error;
/// use tower_service::Service;
///
/// /// Refuses everybody who has not logged in, except on the routes of the service `Login`.
/// #[derive(Clone)]
/// struct LoggedIn(CallService);
///
/// impl Service<Call> for LoggedIn {
///     type Response = Reply;
///     type Error = Error;
///     type Future = CallFuture;
///
///     fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
///         self.0.poll_ready(context)
///     }
///
///     fn call(&mut self, call: Call) -> CallFuture {
///         if call.session().uid().is_none() && !call.route().starts_with("Login.") {
///             return Box::pin(async { Err(Error::unauthenticated("log in first")) });
///         }
///         self.0.call(call)
///     }
/// }
/// ```
#[derive(Clone)]
pub struct CallService(Option<Arc<dyn Layered>>);

/// A layer with everything inside it, of whatever type.
trait Layered: Send + Sync {
    fn call(&self, call: Call) -> CallFuture;
}

struct Service<S>(S);

impl<S> Layered for Service<S>
where
    S: tower_service::Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<Error>,
    S::Future: Send,
{
    fn call(&self, call: Call) -> CallFuture {
        let mut service = self.0.clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
            service.call(call).await.map_err(Into::into)
        })
    }
}

impl CallService {
    /// Straight to the handler.
    pub(super) const fn handler() -> Self {
        Self(None)
    }

    /// Goes through `layer` first.
    pub(super) fn wrapped<L>(self, layer: &L) -> Self
    where
        L: Layer<Self>,
        L::Service: tower_service::Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as tower_service::Service<Call>>::Error: Into<Error>,
        <L::Service as tower_service::Service<Call>>::Future: Send,
    {
        Self(Some(Arc::new(Service(layer.layer(self)))))
    }

    /// Whether nothing lies between a call and its handler.
    pub(super) fn is_handler(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(super) fn dispatch(&self, call: Call) -> CallFuture {
        match &self.0 {
            None => RouteEntry::handle(call),
            Some(layered) => layered.call(call),
        }
    }
}

impl tower_service::Service<Call> for CallService {
    type Response = Reply;
    type Error = Error;
    type Future = CallFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // A layer that must wait does so within its call, because calls do not share one copy of it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> CallFuture {
        self.dispatch(call)
    }
}

impl fmt::Debug for CallService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallService").field("is_layered", &self.0.is_some()).finish()
    }
}
