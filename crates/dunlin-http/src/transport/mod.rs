//! The transport: a handle on a pool of connections, and the loop that sends one request.

use std::sync::Arc;

use http::{Request, Response, Uri};
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::exchange::exchange;
use self::plan::Plan;
use self::shared::{Asked, Delivery, Shared};
use crate::body::{RequestBody, ResponseBody};
use crate::client_conn::ClientConn;
use crate::conn::{ConnInfo, Lease};
use crate::error::{Error, ErrorKind, InvalidRequest, TimeoutKind};
use crate::key::ConnKey;
use crate::limits::REFUSED_RETRIES_MAX;
use crate::pool::WaiterId;
use crate::round_trip::RoundTripper;
use crate::stats::{CloseCause, PoolStats};
use crate::trace::GotConn;

mod builder;
mod effects;
pub(crate) mod exchange;
pub(crate) mod plan;
mod shared;
mod tasks;

pub use self::builder::Builder;
pub use self::plan::CancelOn;

/// A pool of connections that requests are sent over. A clone is another handle on the same pool.
///
/// Connections are kept between requests and found again by scheme, host, port and proxy. What may be set, and its
/// defaults, is on [`Builder`]. When the last handle is gone and no request is on its way, idle connections close.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use dunlin_http::{RequestBody, Transport};
/// use http_body_util::BodyExt;
///
/// let transport = Transport::builder().max_conns_per_host(16).build();
/// let request = http::Request::get("http://127.0.0.1:8080/").body(RequestBody::empty())?;
/// let response = transport.round_trip(request).await?;
/// println!("{}", response.status());
/// let body = response.into_body().collect().await?.to_bytes();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

impl Default for Transport {
    /// With the defaults of [`Builder`].
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Transport {
    /// A transport to be set up.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Sends one request and gives its response as soon as the head is there. Redirects, cookies and compression are
    /// other people's business.
    ///
    /// A URI with scheme and host is needed; `Host` is added if it is missing. A request whose connection was closed
    /// under it is sent again where that is certain to do no harm: over a connection that had served before, when
    /// nothing of it was written, when an HTTP/2 server says that it has not looked at it, or when it is idempotent (`GET`,
    /// `HEAD`, `OPTIONS`, `TRACE`, or it has an `Idempotency-Key`) and nothing of a response was read; and only with a body
    /// that can be made again.
    ///
    /// # Errors
    ///
    /// [`Error`] says what kind of failure it was and whether bytes left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the request: while it waits, it leaves the queue; while its connection is dialed,
    /// the dial goes on for the next request (see [`OnCancelDial`](crate::OnCancelDial)); after that, the connection is
    /// closed (HTTP/1) or the stream reset (HTTP/2). Nothing is leaked.
    pub async fn round_trip(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        let settings = &self.shared.settings;
        let mut plan = Plan::new(request, settings, &self.shared.dialer)?;
        let mut refusals = 0;
        loop {
            if plan.cancel.as_ref().is_some_and(tokio_util::sync::CancellationToken::is_cancelled) {
                return Err(Error::new(ErrorKind::Cancelled).to(&plan.key));
            }
            let lease = self.checkout(&plan).await?;
            if lease.is_closed() && lease.reuse.is_reused {
                // It was closed a moment ago, or takes no more streams; the pool hears of it now.
                lease.release(Err(CloseCause::Peer)).ok();
                continue;
            }
            let conn = lease.conn.id;
            match exchange(settings, &mut plan, lease).await {
                Ok(response) => return Ok(response),
                Err(failure) if failure.may_retry && refusals < REFUSED_RETRIES_MAX => {
                    refusals += u32::from(failure.is_refused);
                    tracing::debug!(target: "dunlin_http::pool", conn = conn.number(), error = %failure.error, "sent again");
                    self.shared.retried(conn);
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    async fn checkout(&self, plan: &Plan) -> Result<Lease, Error> {
        if let Some(trace) = &plan.trace {
            trace.get_conn(&plan.key);
        }
        let lease = match self.shared.ask(&plan.key, || plan.order()) {
            Asked::Settled(delivery) => delivery,
            Asked::Waits(waiter, told) => self.wait(plan, waiter, told).await,
        };
        let lease = lease.map_err(|error| error.to(&plan.key))?;
        if let Some(trace) = &plan.trace {
            let conn = &lease.conn.info;
            let (is_reused, idle_for) = (lease.reuse.is_reused, lease.reuse.idle_for);
            trace.got_conn(&GotConn { conn, is_reused, idle_for });
        }
        Ok(lease)
    }

    async fn wait(&self, plan: &Plan, waiter: WaiterId, told: oneshot::Receiver<Delivery>) -> Delivery {
        let mut waiting = Waiting { shared: &self.shared, waiter, told, is_over: false };
        let limit = self.shared.settings.wait_timeout;
        let delivery = async {
            match limit {
                None => (&mut waiting.told).await,
                Some(limit) => match timeout(limit, &mut waiting.told).await {
                    Ok(told) => told,
                    Err(_) => return Err(Error::timeout(TimeoutKind::Wait)),
                },
            }
            // The other end is dropped only with the transport.
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled)))
        };
        let delivery = match &plan.cancel {
            None => delivery.await,
            Some(token) => {
                let cancelled = token.run_until_cancelled(delivery).await;
                cancelled.unwrap_or_else(|| Err(Error::new(ErrorKind::Cancelled)))
            }
        };
        waiting.is_over = delivery.as_ref().map_or_else(|error| !is_own(error), |_| true);
        delivery
    }

    /// Closes the connections that are idle, gives up the dials that nobody waits for, and keeps no connection that
    /// becomes idle until the next request asks for one, as Go's `CloseIdleConnections`.
    pub fn close_idle(&self) {
        self.shared.close_idle();
    }

    /// Closes the connections for which `is_evicted` holds: at once if they are idle, else after what they are at.
    /// Returns how many those are. Use it to follow DNS, or to leave a server that is about to go.
    pub fn evict(&self, mut is_evicted: impl FnMut(&ConnInfo) -> bool) -> usize {
        let conns = self.shared.conns();
        let evicted = conns.iter().filter(|conn| is_evicted(&conn.info));
        evicted.map(|conn| self.shared.evict(conn.id)).count()
    }

    /// Dials so that there are `count` idle connections for requests to this URI, as far as the limits go. Returns how
    /// many connections were made.
    ///
    /// # Errors
    ///
    /// [`Error`] of the first dial that failed; and when the URI names no host.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the dials going.
    pub async fn warm(&self, uri: &Uri, count: usize) -> Result<usize, Error> {
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = uri.clone();
        let plan = Plan::new(request, &self.shared.settings, &self.shared.dialer)?;
        let dials = self.shared.warm(plan.order(), count);
        let made = dials.len();
        for dial in dials {
            dial.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled).to(&plan.key)))?;
        }
        Ok(made)
    }

    /// Makes one connection that belongs to the caller: outside of the pool, its limits and its statistics. Go's
    /// `NewClientConn`.
    ///
    /// # Errors
    ///
    /// [`Error`] when it cannot be made; and when the URI names no host.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the dial up.
    pub async fn client_conn(&self, uri: &Uri) -> Result<ClientConn, Error> {
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = uri.clone();
        let plan = Plan::new(request, &self.shared.settings, &self.shared.dialer)?;
        ClientConn::open(plan.order(), self.shared.settings.clone(), self.shared.dialer.clone()).await
    }

    /// How many connections there are, what they do, and why others went.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.shared.stats()
    }

    /// The key under which requests to this URI share connections; what [`PoolStats::host`] is asked by.
    ///
    /// # Errors
    ///
    /// When the URI names no host, or its scheme is not HTTP's.
    pub fn key(&self, uri: &Uri) -> Result<ConnKey, Error> {
        let missing = Error::new(ErrorKind::InvalidRequest(InvalidRequest::Host));
        let key = ConnKey::of(uri).ok_or(missing)?;
        Ok(match self.shared.dialer.proxy.route(uri) {
            Some(route) => {
                let is_shared = route.takes_requests_for(key.scheme());
                key.through(&route.uri, is_shared)
            }
            None => key,
        })
    }
}

impl RoundTripper for Transport {
    async fn round_trip(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        Self::round_trip(self, request).await
    }

    fn close_idle(&self) {
        Self::close_idle(self);
    }
}

/// Whether the waiter itself ended its wait, so that the pool does not know of it yet.
fn is_own(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout(TimeoutKind::Wait))
}

/// A place in the queue. Dropped, it is given up, and a connection that came meanwhile goes back.
struct Waiting<'a> {
    shared: &'a Shared,
    waiter: WaiterId,
    told: oneshot::Receiver<Delivery>,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.cancelled(self.waiter);
            self.told.close();
            // A lease that is dropped unused gives itself back.
            drop(self.told.try_recv());
        }
    }
}
