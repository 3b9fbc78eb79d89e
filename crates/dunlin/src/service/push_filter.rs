//! Filters on what is pushed to clients.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::session::Session;

/// Sees every push before it is queued for a client. Closures of the same shape are filters too.
///
/// It runs where the push is made, once for each client of a broadcast, so it must be quick and must not block.
pub trait PushFilter: Send + Sync + 'static {
    /// Whether `session` is sent the push; `body` may be replaced.
    fn filter(&self, session: &Session, route: &str, body: &mut Bytes) -> bool;
}

impl<F: Fn(&Session, &str, &mut Bytes) -> bool + Send + Sync + 'static> PushFilter for F {
    fn filter(&self, session: &Session, route: &str, body: &mut Bytes) -> bool {
        self(session, route, body)
    }
}

/// The push filters of an application, in order.
#[derive(Clone, Default)]
pub(crate) struct PushFilters(Vec<Arc<dyn PushFilter>>);

impl PushFilters {
    pub(super) fn add(&mut self, filter: impl PushFilter) {
        self.0.push(Arc::new(filter));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all filters let the push through; the first that does not is the last that sees it.
    pub(crate) fn pass(&self, session: &Session, route: &str, body: &mut Bytes) -> bool {
        self.0.iter().all(|filter| filter.filter(session, route, body))
    }
}

impl fmt::Debug for PushFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushFilters({})", self.0.len())
    }
}
