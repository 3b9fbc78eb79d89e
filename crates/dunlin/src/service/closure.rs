//! Closures and plain functions as handlers.

use std::future::Future;
use std::sync::Arc;

use super::call::{Call, Reply};
use super::entry::RouteKind;
use super::extract::Extract;
use super::mount::PendingRoute;
use super::output::{NotifyOutput, RequestOutput, finish_notify};
use super::parts::Needs;
use super::start::split_route_fn;
use crate::error::Result;

/// How a route given as a closure is served.
#[derive(Debug, Clone, Copy, Default)]
pub struct RouteOptions {
    is_concurrent: bool,
    is_idempotent: bool,
    is_internal: bool,
    docs: &'static str,
}

impl RouteOptions {
    /// Lets calls of one session to this route run at the same time.
    #[must_use]
    pub fn concurrent(mut self) -> Self {
        self.is_concurrent = true;
        self
    }

    /// Says that a call may be handled twice: one whose node is lost before it has answered is tried once more, with another one.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    /// Keeps the route for nodes of the cluster: clients of any gate are told that nobody serves it.
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.is_internal = true;
        self
    }

    /// Describes the route to tools.
    #[must_use]
    pub fn docs(mut self, docs: &'static str) -> Self {
        self.docs = docs;
        self
    }
}

/// An async closure or function of up to eight extractors that answers requests.
#[diagnostic::on_unimplemented(
    message = "this cannot handle a request",
    label = "not a request handler",
    note = "a handler is `async` or returns a future, takes up to eight extractors, and returns `Result<T>`:\n`|session: Session, Msg(join): Msg<Join>| async move {{ Ok(Joined {{ .. }}) }}`",
    note = "each argument must be an extractor (`Extract`), only one may read the payload, and the future must be `Send`"
)]
pub trait HandlerFn<Args>: Send + Sync + Sized + 'static {
    #[doc(hidden)]
    fn pending(self, name: String, options: RouteOptions) -> PendingRoute;
}

/// An async closure or function of up to eight extractors that takes notifies.
#[diagnostic::on_unimplemented(
    message = "this cannot handle a notify",
    label = "not a notify handler",
    note = "a handler is `async` or returns a future, takes up to eight extractors, and returns nothing or `Result<()>`",
    note = "each argument must be an extractor (`Extract`), only one may read the payload, and the future must be `Send`"
)]
pub trait NotifyFn<Args>: Send + Sync + Sized + 'static {
    #[doc(hidden)]
    fn pending(self, name: String, options: RouteOptions) -> PendingRoute;
}

/// Stops the build when more than one argument reads the payload.
///
/// # Panics
///
/// Then, while the caller is compiled.
pub const fn one_reads_the_body(arguments: &[bool]) {
    let mut readers = 0;
    let mut at = 0;
    while at < arguments.len() {
        if arguments[at] {
            readers += 1;
        }
        at += 1;
    }
    assert!(readers <= 1, "only one argument of a handler can read the payload (`Msg`, `Proto` or `Raw`)");
}

fn request_needs<R: RequestOutput>(needs: &mut Needs) {
    R::needs(needs);
}

fn notify_needs<R: NotifyOutput>(_: &mut Needs) {}

fn finish_request(output: impl RequestOutput, call: &Call) -> Result<Reply> {
    output.finish(call)
}

/// Implements one of the handler traits for closures of the given arguments. A request's output is written out as
/// `Result<T>`, so that in a closure that ends in `Ok(value)` the type of its error needs not be said.
macro_rules! impl_handler {
    ($handler:ident, $value:ident, $output:ty, $bound:ident, $kind:ident, $needs:ident, $finish:ident; $($arg:ident)*) => {
        impl<F, Fut, $value, $($arg,)*> $handler<($($arg,)*)> for F
        where
            F: Fn($($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = $output> + Send + 'static,
            $value: 'static,
            Fut::Output: $bound,
            $($arg: Extract + 'static,)*
        {
            fn pending(self, name: String, options: RouteOptions) -> PendingRoute {
                const { one_reads_the_body(&[$($arg::READS_BODY),*]) };
                let mut needs = Needs::default();
                $($arg::needs(&mut needs);)*
                $needs::<Fut::Output>(&mut needs);
                let function = Arc::new(self);
                let begin = move |call: &mut Call| {
                    let _ = &call;
                    $(#[expect(non_snake_case, reason = "named as its type")] let $arg = $arg::extract(call)?;)*
                    Ok(function($($arg),*))
                };
                let function = split_route_fn(begin, $finish);
                PendingRoute {
                    name,
                    kind: RouteKind::$kind,
                    is_concurrent: options.is_concurrent,
                    is_serial: false,
                    is_idempotent: options.is_idempotent,
                    is_internal: options.is_internal,
                    docs: options.docs,
                    needs,
                    function,
                    service: Arc::new(()),
                    serializer: None,
                }
            }
        }
    };
}

macro_rules! impl_handlers {
    ($($args:ident)*) => {
        impl_handler!(HandlerFn, T, Result<T>, RequestOutput, Request, request_needs, finish_request; $($args)*);
        impl_handler!(NotifyFn, T, T, NotifyOutput, Notify, notify_needs, finish_notify; $($args)*);
    };
}

impl_handlers!();
impl_handlers!(A1);
impl_handlers!(A1 A2);
impl_handlers!(A1 A2 A3);
impl_handlers!(A1 A2 A3 A4);
impl_handlers!(A1 A2 A3 A4 A5);
impl_handlers!(A1 A2 A3 A4 A5 A6);
impl_handlers!(A1 A2 A3 A4 A5 A6 A7);
impl_handlers!(A1 A2 A3 A4 A5 A6 A7 A8);
