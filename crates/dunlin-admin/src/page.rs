//! The cluster page: plain files, embedded, with a content policy that lets nothing else in.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

/// What the page may load: its own files, from where it came.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer says to browsers.
pub(crate) const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The files by the name after `/admin/`.
const FILES: [(&str, &str, &str); 7] = [
    ("", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("admin.css", "text/css; charset=utf-8", include_str!("../page/admin.css")),
    ("admin.js", "text/javascript; charset=utf-8", include_str!("../page/admin.js")),
    ("feed.js", "text/javascript; charset=utf-8", include_str!("../page/feed.js")),
    ("graph.js", "text/javascript; charset=utf-8", include_str!("../page/graph.js")),
    ("tables.js", "text/javascript; charset=utf-8", include_str!("../page/tables.js")),
    ("figures.js", "text/javascript; charset=utf-8", include_str!("../page/figures.js")),
];

/// A file of the page.
pub(crate) fn file(name: &str) -> Option<Response> {
    let (_, content_type, body) = FILES.iter().find(|(known, ..)| *known == name)?;
    Some(([(CONTENT_TYPE, *content_type)], *body).into_response())
}
