//! For those who build with tower: the transport as a service, a deadline over everything, and retries by policy.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{RequestBody, ResponseBody};
use crate::error::{Error, TimeoutKind};
use crate::transport::Transport;

type Responding<B> = Pin<Box<dyn Future<Output = Result<Response<B>, Error>> + Send>>;

impl Service<Request<RequestBody>> for Transport {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = Responding<ResponseBody>;

    /// Always ready: requests wait in the queue of their host, not here.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move { transport.round_trip(request).await })
    }
}

/// Bounds a whole exchange in time, from the call to the end of the response's body: Go's `Client.Timeout`.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineLayer {
    limit: Duration,
}

impl DeadlineLayer {
    /// Exchanges may take so long.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, limit: self.limit }
    }
}

/// A service whose exchanges have a deadline. See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
    limit: Duration,
}

impl<S, B> Service<Request<RequestBody>> for Deadline<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Response<DeadlineBody<B>>;
    type Error = Error;
    type Future = Responding<DeadlineBody<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let responding = self.inner.call(request);
        let mut timer = Box::pin(sleep(self.limit));
        Box::pin(async move {
            tokio::select! {
                biased;
                response = responding => Ok(response?.map(|body| DeadlineBody { body: Some(body), timer })),
                () = &mut timer => Err(Error::timeout(TimeoutKind::Deadline)),
            }
        })
    }
}

/// A response's body that must end before its deadline.
#[derive(Debug)]
pub struct DeadlineBody<B> {
    /// `None` once the deadline passed: the body is dropped then, and with it the exchange.
    body: Option<B>,
    timer: Pin<Box<Sleep>>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for DeadlineBody<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if this.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.body = None;
        Poll::Ready(Some(Err(Error::timeout(TimeoutKind::Deadline).having_sent(true))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// What is tried again, how often and how much later: a policy for `tower::retry::RetryLayer`.
///
/// Tried again are requests that certainly did not reach the server, and those for which
/// [`on_status`](Self::on_status) says so; always only with a body that can be made again. This is on top of the
/// transport's own retries over connections that were closed under a request, which need no policy.
///
/// ```
/// use std::time::Duration;
/// use dunlin_http::Transport;
/// use dunlin_http::layer::RetryPolicy;
/// use tower::retry::RetryLayer;
/// use tower::Layer;
///
/// let policy = RetryPolicy::new(3, Duration::from_millis(100)).on_status(|status| status.as_u16() == 503);
/// let service = RetryLayer::new(policy).layer(Transport::default());
/// ```
#[derive(Clone)]
pub struct RetryPolicy {
    left: u32,
    pause: Duration,
    is_retried: Option<Arc<dyn Fn(StatusCode) -> bool + Send + Sync>>,
}

/// A pause between two attempts is never longer.
const PAUSE_MAX: Duration = Duration::from_secs(10);

impl RetryPolicy {
    /// So many attempts after the first one, the second one `pause` after it, each further one after twice as long, up
    /// to ten seconds; of each pause a random part up to the half is left out.
    #[must_use]
    pub fn new(retries: u32, pause: Duration) -> Self {
        Self { left: retries, pause, is_retried: None }
    }

    /// Tries again also when there is a response with such a status. Whether the request may be handled twice is for
    /// the caller to know.
    #[must_use]
    pub fn on_status(mut self, is_retried: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        self.is_retried = Some(Arc::new(is_retried));
        self
    }
}

impl<B> tower::retry::Policy<Request<RequestBody>, Response<B>, Error> for RetryPolicy {
    type Future = Sleep;

    fn retry(
        &mut self,
        _request: &mut Request<RequestBody>,
        result: &mut Result<Response<B>, Error>,
    ) -> Option<Sleep> {
        let is_retried = match result {
            Ok(response) => self.is_retried.as_ref().is_some_and(|is_retried| is_retried(response.status())),
            Err(error) => error.is_unsent(),
        };
        if !is_retried || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let pause = self.pause.mul_f64(1.0 - fastrand::f64() / 2.0);
        self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
        Some(sleep(pause))
    }

    fn clone_request(&mut self, request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
        let mut clone = Request::new(request.body().try_clone()?);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.version_mut() = request.version();
        *clone.headers_mut() = request.headers().clone();
        *clone.extensions_mut() = request.extensions().clone();
        Some(clone)
    }
}

impl std::fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("left", &self.left)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}
