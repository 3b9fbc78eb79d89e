//! A layer that bounds how often one session may call.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower_layer::Layer;

use super::call::{Call, CallFuture, CallKind, Reply};
use super::layer::CallService;
use crate::error::Error;

/// Bounds how often one session may call, by a bucket of tokens that fills at a steady rate.
///
/// A request over the limit is answered with code 429; a notify over it is dropped and counted.
///
/// ```
/// use std::time::Duration;
///
/// use dunlin::service::{RateLimit, ServiceSet};
///
/// let limit = RateLimit::per_session(20, Duration::from_secs(1));
/// let mut services = ServiceSet::new();
/// services.layer(limit.clone());
/// assert_eq!(limit.notifies_dropped(), 0);
/// ```
#[derive(Debug, Clone)]
pub struct RateLimit(Arc<Limit>);

#[derive(Debug)]
struct Limit {
    /// Tells the buckets of several limits on one session apart.
    id: u64,
    /// 0 for no limit.
    calls: AtomicU32,
    per: Duration,
    requests_refused: AtomicU64,
    notifies_dropped: AtomicU64,
}

/// What one session may still do under one limit.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: u64,
    /// Calls that may be made at once.
    tokens: f64,
    filled_at: Instant,
}

/// The buckets of one session, as a session's attribute.
#[derive(Debug, Default)]
struct Buckets(Vec<Bucket>);

impl RateLimit {
    /// At most `calls` calls of one session at once, and as many in every `per` after that. Zero calls count as one.
    #[must_use]
    pub fn per_session(calls: u32, per: Duration) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Limit {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            calls: AtomicU32::new(calls.max(1)),
            per,
            requests_refused: AtomicU64::new(0),
            notifies_dropped: AtomicU64::new(0),
        }))
    }

    /// Takes another number of calls from now on; `None` for no limit.
    pub fn set_calls(&self, calls: Option<u32>) {
        self.0.calls.store(calls.map_or(0, |calls| calls.max(1)), Ordering::Relaxed);
    }

    /// How many requests were answered with code 429.
    #[must_use]
    pub fn requests_refused(&self) -> u64 {
        self.0.requests_refused.load(Ordering::Relaxed)
    }

    /// How many notifies were dropped.
    #[must_use]
    pub fn notifies_dropped(&self) -> u64 {
        self.0.notifies_dropped.load(Ordering::Relaxed)
    }
}

impl Limit {
    fn admits(&self, call: &Call) -> bool {
        let Some(calls) = NonZeroU32::new(self.calls.load(Ordering::Relaxed)) else { return true };
        let (now, calls) = (Instant::now(), f64::from(calls.get()));
        call.session()
            .with_or_insert(Buckets::default, |buckets| {
                self.bucket(buckets, (now, calls)).take((calls, self.per), now)
            })
            .unwrap_or(true)
    }

    fn bucket<'a>(&self, buckets: &'a mut Buckets, (now, calls): (Instant, f64)) -> &'a mut Bucket {
        let buckets = &mut buckets.0;
        let at = buckets.iter().position(|bucket| bucket.limit == self.id).unwrap_or(buckets.len());
        if at == buckets.len() {
            buckets.push(Bucket { limit: self.id, tokens: calls, filled_at: now });
        }
        &mut buckets[at]
    }

    fn refuse(&self, kind: CallKind) -> Result<Reply, Error> {
        match kind {
            CallKind::Request => {
                self.requests_refused.fetch_add(1, Ordering::Relaxed);
                Err(Error::rate_limited("too many calls; slow down"))
            }
            CallKind::Notify => {
                self.notifies_dropped.fetch_add(1, Ordering::Relaxed);
                Ok(Reply::empty())
            }
        }
    }
}

impl Bucket {
    fn take(&mut self, (calls, per): (f64, Duration), now: Instant) -> bool {
        let filled =
            now.saturating_duration_since(self.filled_at).as_secs_f64() / per.as_secs_f64().max(1e-9);
        self.tokens = (self.tokens + filled * calls).min(calls);
        self.filled_at = now;
        let is_admitted = self.tokens >= 1.0;
        if is_admitted {
            self.tokens -= 1.0;
        }
        is_admitted
    }
}

impl Layer<CallService> for RateLimit {
    type Service = RateLimited;

    fn layer(&self, inner: CallService) -> RateLimited {
        RateLimited { limit: self.0.clone(), inner }
    }
}

/// Calls behind a [`RateLimit`].
#[derive(Debug, Clone)]
pub struct RateLimited {
    limit: Arc<Limit>,
    inner: CallService,
}

impl tower_service::Service<Call> for RateLimited {
    type Response = Reply;
    type Error = Error;
    type Future = CallFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> CallFuture {
        if self.limit.admits(&call) {
            return self.inner.call(call);
        }
        Box::pin(std::future::ready(self.limit.refuse(call.kind())))
    }
}
