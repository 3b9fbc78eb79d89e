//! A request that was found valid, and everything about it that every attempt needs.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use tokio_util::sync::CancellationToken;

use crate::body::{RequestBody, Source, Upload};
use crate::config::Settings;
use crate::conn::Conn;
use crate::dial::{Dialer, Order, Route, Target};
use crate::error::{Error, ErrorKind, InvalidRequest};
use crate::key::{ConnKey, Scheme};
use crate::stats::CloseCause;
use crate::trace::{RequestTrace, Trace};

/// Ends the request that carries it in its extensions, before the response and while its body is read.
///
/// Dropping the future of the request, or the body of its response, does the same; the token is for those who must
/// cancel from elsewhere and be told so.
#[derive(Debug, Clone)]
pub struct CancelOn(pub CancellationToken);

pub(crate) struct Plan {
    pub(crate) key: ConnKey,
    pub(crate) body: Source,
    pub(crate) trace: Option<Arc<dyn Trace>>,
    pub(crate) cancel: Option<CancellationToken>,
    pub(crate) is_idempotent: bool,
    pub(crate) expects_continue: bool,
    /// Why it asks for its connection to be closed after it, if it does.
    pub(crate) closes: Option<CloseCause>,
    /// What later attempts need is copied for an attempt, not taken.
    head: Parts,
    detour: Option<Box<Detour>>,
    /// What a dial is told of the request. It is copied before the pool is asked, since that runs its user's code.
    values: Arc<Extensions>,
}

/// What few requests have, kept apart so that the others are light to carry.
struct Detour {
    /// The proxy that it goes through, and what it asks for: what a tunnel leads to, and what `Host` says.
    proxy: Option<(Route, ConnKey)>,
    /// Where a `CONNECT` is to lead.
    connect: Option<Authority>,
}

impl Plan {
    pub(crate) fn new(
        request: Request<RequestBody>,
        settings: &Settings,
        dialer: &Dialer,
    ) -> Result<Self, Error> {
        let invalid = |what| Error::new(ErrorKind::InvalidRequest(what));
        let (mut head, body) = request.into_parts();
        let scheme = Scheme::of(&head.uri).ok_or_else(|| invalid(InvalidRequest::Scheme))?;
        let mut key = ConnKey::of(&head.uri).ok_or_else(|| invalid(InvalidRequest::Host))?;
        check_length(&head.headers, &body).map_err(invalid)?;
        let connect = (head.method == Method::CONNECT).then(|| match head.headers.get(HOST) {
            Some(host) => Authority::try_from(host.as_bytes()).ok(),
            None => Some(key.authority().clone()),
        });
        if connect == Some(None) {
            return Err(invalid(InvalidRequest::Authority));
        }
        let proxy = dialer.proxy.route(&head.uri).map(|route| (route, key.clone()));
        if let Some((route, _)) = &proxy {
            let is_shared = route.takes_requests_for(scheme);
            key = key.through(&route.uri, is_shared);
            if let (true, Some(auth)) = (is_shared, &route.auth) {
                head.headers.entry(PROXY_AUTHORIZATION).or_insert_with(|| auth.clone());
            }
        }
        if scheme == Scheme::Https && head.headers.contains_key(UPGRADE) {
            key = key.with_http1_only();
        }
        let mut closes = says(&head.headers, &CONNECTION, "close").then_some(CloseCause::Exchange);
        if !settings.pool.keeps_alive && closes.replace(CloseCause::KeepAlivesDisabled).is_none() {
            head.headers.append(CONNECTION, HeaderValue::from_static("close"));
        }
        let connect = connect.flatten();
        let has_detour = proxy.is_some() || connect.is_some();
        let detour = has_detour.then(|| Box::new(Detour { proxy, connect }));
        let body = Source::new(body.0);
        let trace = head.extensions.remove::<RequestTrace>().map(|trace| trace.0);
        let cancel = head.extensions.remove::<CancelOn>().map(|cancel| cancel.0);
        let has_values = !head.extensions.is_empty();
        let values = if has_values { Arc::new(head.extensions.clone()) } else { dialer.no_values.clone() };
        Ok(Self {
            expects_continue: !body.is_empty() && says(&head.headers, &EXPECT, "100-continue"),
            is_idempotent: is_idempotent(&head),
            closes,
            cancel,
            trace: trace.or_else(|| settings.trace.clone()),
            key,
            body,
            head,
            detour,
            values,
        })
    }

    fn proxy(&self) -> Option<&(Route, ConnKey)> {
        self.detour.as_ref().and_then(|detour| detour.proxy.as_ref())
    }

    /// What is asked, proxy or not: what a dial leads to, and what `Host` says.
    fn origin(&self) -> &ConnKey {
        self.proxy().map_or(&self.key, |(_, origin)| origin)
    }

    /// What a dial for this request is told.
    pub(crate) fn order(&self) -> Order {
        Order {
            key: self.key.clone(),
            target: Target::of_key(self.origin()),
            route: self.proxy().map(|(route, _)| route.clone()),
            values: self.values.clone(),
            trace: self.trace.clone(),
        }
    }

    /// The method that is asked for.
    pub(crate) const fn method(&self) -> &Method {
        &self.head.method
    }

    /// The request of one attempt, in the form that its protocol wants. `keeps`: another attempt may come.
    pub(crate) fn request(
        &mut self,
        (conn, keeps): (&Conn, bool),
        body: Upload,
    ) -> Result<Request<Upload>, Error> {
        let is_http1 = conn.is_http1();
        let mut request = Request::new(body);
        *request.uri_mut() = self.uri(is_http1);
        request.method_mut().clone_from(&self.head.method);
        if keeps {
            // To copy a map costs some allocations, an empty one too.
            if !self.head.headers.is_empty() {
                request.headers_mut().clone_from(&self.head.headers);
            }
            request.extensions_mut().clone_from(&self.head.extensions);
        } else {
            *request.headers_mut() = std::mem::take(&mut self.head.headers);
            *request.extensions_mut() = std::mem::take(&mut self.head.extensions);
        }
        if !is_http1 {
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
            request.headers_mut().remove(CONNECTION);
            return Ok(request);
        }
        // Only now, so that the head that is kept has no header of ours to copy.
        if !request.headers().contains_key(HOST) {
            let invalid = || Error::new(ErrorKind::InvalidRequest(InvalidRequest::Host));
            request.headers_mut().insert(HOST, conn.host(self.origin()).ok_or_else(invalid)?);
        }
        Ok(request)
    }

    fn uri(&self, is_http1: bool) -> Uri {
        let connect = self.detour.as_ref().and_then(|detour| detour.connect.as_ref());
        if let Some(authority) = connect.filter(|_| is_http1) {
            return Uri::from(authority.clone());
        }
        let is_shared_proxy =
            self.proxy().is_some_and(|(route, origin)| route.takes_requests_for(origin.scheme()));
        if !is_http1 || is_shared_proxy {
            return self.uri_as_asked();
        }
        let path = self.head.uri.path_and_query();
        Uri::from(path.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")))
    }

    /// The URI with the host that the request names for its server, and without user and password.
    fn uri_as_asked(&self) -> Uri {
        let host = self.head.headers.get(HOST);
        let asked = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let canonical = Target::of_key(self.origin()).uri();
        let mut parts = self.head.uri.clone().into_parts();
        parts.authority = asked.or_else(|| canonical.authority().cloned());
        // It is made of parts that were parts of a URI.
        Uri::from_parts(parts).unwrap_or(canonical)
    }
}

/// Go's rule: the method promises it, or the caller does.
fn is_idempotent(head: &Parts) -> bool {
    const KEY: HeaderName = HeaderName::from_static("idempotency-key");
    const OLD_KEY: HeaderName = HeaderName::from_static("x-idempotency-key");
    matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
        || head.headers.contains_key(KEY)
        || head.headers.contains_key(OLD_KEY)
}

/// Whether one of the header's comma-separated values is this one.
fn says(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| line.split(',').any(|part| part.trim().eq_ignore_ascii_case(value)))
}

/// Whether a response says that its connection will be closed, which HTTP/1.0 does by not saying that it is kept.
pub(super) fn says_close(version: Version, headers: &HeaderMap) -> bool {
    let is_kept = version != Version::HTTP_10 || says(headers, &CONNECTION, "keep-alive");
    !is_kept || says(headers, &CONNECTION, "close")
}

fn check_length(headers: &HeaderMap, body: &RequestBody) -> Result<(), InvalidRequest> {
    let Some(said) = headers.get(CONTENT_LENGTH) else { return Ok(()) };
    let said = said.to_str().ok().and_then(|said| said.parse::<u64>().ok());
    let said = said.ok_or(InvalidRequest::ContentLength)?;
    match body.exact_len() {
        Some(len) if len != said => Err(InvalidRequest::ContentLength),
        _ => Ok(()),
    }
}
