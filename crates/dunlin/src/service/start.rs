//! How a call begins: its future is polled once, in a box that its route keeps, and leaves with the box if it waits.
//!
//! Most handlers return at once. So each shard keeps a box for each route, in which the future of the next call is
//! put: nothing is allocated for a call that does not wait.
//!
//! Invariants: a panic is contained and ends its call alone; between two calls a box is empty; a box that a panic left
//! something in is not used again.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use super::call::{Call, CallFuture, Reply};
use crate::error::Result;

/// What became of user code that was begun and polled once.
pub enum Started<T> {
    /// It is over.
    Done(T),
    /// It panicked; the panic was reported by the process's hook.
    Panicked,
    /// It waits for something: whoever has the future polls it on. Its first waker did nothing, so that must happen
    /// before anyone sleeps.
    Waits(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Started<T> {
    /// Polls a future once.
    pub(crate) fn polled(mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> Self {
        match contained(|| future.as_mut().poll(&mut Context::from_waker(Waker::noop()))) {
            Some(Poll::Ready(output)) => Self::Done(output),
            Some(Poll::Pending) => Self::Waits(future),
            None => Self::Panicked,
        }
    }
}

/// Runs user code. `None`: it panicked.
#[inline]
fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

impl<T> fmt::Debug for Started<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done",
            Self::Panicked => "Panicked",
            Self::Waits(_) => "Waits",
        })
    }
}

/// The function of one route, from a call to what it is answered.
pub trait RouteFn: Send + Sync {
    /// The future of a call; nothing is done before it is polled.
    fn call(self: Arc<Self>, call: Call) -> CallFuture;

    /// A copy whose reference count no other shard touches.
    fn for_shard(&self) -> Arc<dyn RouteFn>;

    /// What begins the calls of one shard.
    fn starter(self: Arc<Self>) -> Box<dyn Start>;
}

/// Begins the calls of one route on one shard.
pub trait Start: Send {
    /// Polls the future of a call once.
    fn start(&mut self, call: Call) -> Started<Result<Reply>>;
}

/// A route's function that takes the whole call along.
pub fn route_fn<M, F>(function: M) -> Arc<dyn RouteFn>
where
    M: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply>> + Send + 'static,
{
    Arc::new(Whole(function))
}

#[derive(Clone)]
struct Whole<M>(M);

impl<M, F> RouteFn for Whole<M>
where
    M: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply>> + Send + 'static,
{
    fn call(self: Arc<Self>, call: Call) -> CallFuture {
        Box::pin(async move { (self.0)(call).await })
    }

    fn for_shard(&self) -> Arc<dyn RouteFn> {
        Arc::new(self.clone())
    }

    fn starter(self: Arc<Self>) -> Box<dyn Start> {
        Box::new(Starter { function: self, place: Place(None) })
    }
}

impl<M, F> Start for Starter<Whole<M>, F>
where
    M: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply>> + Send + 'static,
{
    fn start(&mut self, call: Call) -> Started<Result<Reply>> {
        let function = &self.function.0;
        match self.place.poll(&mut (), |()| Ok(function(call)), |outcome, ()| outcome) {
            Polled::Done(outcome) => Started::Done(outcome),
            Polled::Panicked => Started::Panicked,
            Polled::Waits(future) => Started::Waits(Box::pin(future)),
        }
    }
}

/// A route's function in two parts, so that its future need not take the call along: the first makes the future, the
/// second an answer of what that gives.
pub(super) fn split_route_fn<B, F, E>(begin: B, end: E) -> Arc<dyn RouteFn>
where
    B: Fn(&mut Call) -> Result<F> + Clone + Send + Sync + 'static,
    F: Future + Send + 'static,
    E: Fn(F::Output, &Call) -> Result<Reply> + Clone + Send + Sync + 'static,
{
    Arc::new(Split { begin, end })
}

#[derive(Clone)]
struct Split<B, E> {
    begin: B,
    end: E,
}

impl<B, F, E> RouteFn for Split<B, E>
where
    B: Fn(&mut Call) -> Result<F> + Clone + Send + Sync + 'static,
    F: Future + Send + 'static,
    E: Fn(F::Output, &Call) -> Result<Reply> + Clone + Send + Sync + 'static,
{
    fn call(self: Arc<Self>, mut call: Call) -> CallFuture {
        Box::pin(async move {
            let future = (self.begin)(&mut call)?;
            let output = future.await;
            (self.end)(output, &call)
        })
    }

    fn for_shard(&self) -> Arc<dyn RouteFn> {
        Arc::new(self.clone())
    }

    fn starter(self: Arc<Self>) -> Box<dyn Start> {
        Box::new(Starter { function: self, place: Place(None) })
    }
}

impl<B, F, E> Start for Starter<Split<B, E>, F>
where
    B: Fn(&mut Call) -> Result<F> + Clone + Send + Sync + 'static,
    F: Future + Send + 'static,
    E: Fn(F::Output, &Call) -> Result<Reply> + Clone + Send + Sync + 'static,
{
    fn start(&mut self, mut call: Call) -> Started<Result<Reply>> {
        let Split { begin, end } = &*self.function;
        match self.place.poll(&mut call, begin, end) {
            Polled::Done(outcome) => Started::Done(outcome),
            Polled::Panicked => Started::Panicked,
            Polled::Waits(future) => {
                let function = self.function.clone();
                Started::Waits(Box::pin(async move {
                    let output = future.await;
                    (function.end)(output, &call)
                }))
            }
        }
    }
}

/// A function on one shard, and the box of its futures.
struct Starter<T, F> {
    function: Arc<T>,
    place: Place<F>,
}

/// The box of a route's futures, empty between calls. `None`: the last one left with a future that waits.
struct Place<F>(Option<Pin<Box<Option<F>>>>);

enum Polled<F> {
    Done(Result<Reply>),
    Panicked,
    Waits(Waiting<F>),
}

impl<F: Future> Place<F> {
    /// Puts the future that `begin` makes into the box and polls it once; `end` makes an answer of its output.
    #[inline]
    fn poll<C>(
        &mut self,
        call: &mut C,
        begin: impl FnOnce(&mut C) -> Result<F>,
        end: impl FnOnce(F::Output, &C) -> Result<Reply>,
    ) -> Polled<F> {
        let mut place = self.0.take().unwrap_or_else(|| Box::pin(None));
        let polled = contained(|| {
            match begin(call) {
                Ok(future) => place.set(Some(future)),
                Err(error) => return Poll::Ready(Err(error)),
            }
            let Some(future) = place.as_mut().as_pin_mut() else { return Poll::Pending };
            let output = ready!(future.poll(&mut Context::from_waker(Waker::noop())));
            place.set(None);
            Poll::Ready(end(output, call))
        });
        match polled {
            Some(Poll::Ready(outcome)) => {
                self.0 = Some(place);
                Polled::Done(outcome)
            }
            Some(Poll::Pending) => Polled::Waits(Waiting(place)),
            None => {
                // What it left may be user code's as well.
                contained(|| drop(place));
                Polled::Panicked
            }
        }
    }
}

/// A future that left with its box.
struct Waiting<F>(Pin<Box<Option<F>>>);

impl<F: Future> Future for Waiting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // It is there until whoever polls it drops it.
        self.0.as_mut().as_pin_mut().map_or(Poll::Pending, |future| future.poll(cx))
    }
}

/// What begins the calls of one shard, for each of its routes.
pub(crate) struct Starters(Box<[Box<dyn Start>]>);

impl Starters {
    pub(super) fn new(functions: impl Iterator<Item = Arc<dyn RouteFn>>) -> Self {
        Self(functions.map(RouteFn::starter).collect())
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut dyn Start> {
        match self.0.get_mut(place) {
            Some(starter) => Some(&mut **starter),
            None => None,
        }
    }
}
