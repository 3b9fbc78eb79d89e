//! The headers that nodes tell each other who they are by. Section "Headers" of `docs/protocol/raft.md`.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

use dunlin_http::RequestBody;

use crate::core::{
    CLUSTER_ID, CLUSTER_MISMATCH_BODY, INCOMPATIBLE_VERSION_BODY, MIN_CLUSTER_VERSION, MemberId,
    SERVER_VERSION, StreamKind, UnsupportedStream, VersionError, check_stream_support, server_version,
};
use crate::node::Node;

const SERVER_FROM: HeaderName = HeaderName::from_static("x-server-from");
pub(crate) const RAFT_TO: HeaderName = HeaderName::from_static("x-raft-to");
pub(crate) const PEER_URLS: HeaderName = HeaderName::from_static("x-peerurls");

pub(crate) const PIPELINE_PATH: &str = "/raft";
pub(crate) const STREAM_PATH: &str = "/raft/stream/";
pub(crate) const SNAPSHOT_PATH: &str = "/raft/snapshot";
pub(crate) const PROBING_PATH: &str = "/raft/probing";

fn value(text: &str) -> HeaderValue {
    // Ids, versions and checked URLs are plain text.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Says who we are.
fn introduce(node: &Node, headers: &mut HeaderMap) {
    headers.insert(SERVER_FROM, value(&node.config.id.to_string()));
    headers.insert(SERVER_VERSION, value(&node.config.local.versions.server.to_string()));
    headers.insert(MIN_CLUSTER_VERSION, value(&node.config.local.versions.min_cluster.to_string()));
    headers.insert(CLUSTER_ID, value(&node.config.local.cluster.to_string()));
    if let Some(urls) = &node.config.urls {
        headers.insert(PEER_URLS, value(&urls.to_string()));
    }
}

fn at(url: &Uri, path: &str) -> Uri {
    let mut parts = url.clone().into_parts();
    parts.path_and_query = path.parse().ok();
    // The URL was checked and our paths are paths.
    Uri::from_parts(parts).unwrap_or_default()
}

/// A post of one message, or of a snapshot.
pub(crate) fn post(
    node: &Node,
    (url, path): (&Uri, &str),
    content_type: &'static str,
    body: RequestBody,
) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = at(url, path);
    introduce(node, request.headers_mut());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    request
}

/// The request that asks whether a peer is there.
pub(crate) fn probe(url: &Uri) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = at(url, PROBING_PATH);
    request
}

/// The request for a stream of `to`.
pub(crate) fn stream(node: &Node, url: &Uri, kind: StreamKind, to: MemberId) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = at(url, &format!("{STREAM_PATH}{kind}/{}", node.config.id));
    introduce(node, request.headers_mut());
    request.headers_mut().insert(RAFT_TO, value(&to.to_string()));
    request
}

/// A header's text; `None` when it is missing or no text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Which member a request says it is from; `None` when it names none.
pub(crate) fn sender(headers: &HeaderMap) -> Option<MemberId> {
    text(headers, &SERVER_FROM)?.parse().ok()
}

/// Says who answers, on a response to somebody of our cluster.
pub(crate) fn answer_cluster<B>(node: &Node, response: &mut Response<B>) {
    response.headers_mut().insert(CLUSTER_ID, value(&node.config.local.cluster.to_string()));
}

pub(crate) fn answer_version<B>(node: &Node, response: &mut Response<B>) {
    response.headers_mut().insert(SERVER_VERSION, value(&node.config.local.versions.server.to_string()));
}

/// Why a peer refuses what we sent it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PeerRefusal {
    #[error("the member has been permanently removed from the cluster")]
    Removed,
    #[error("the peer's version does not go with ours")]
    IncompatibleVersion,
    #[error("the peer is of another cluster")]
    ClusterIdMismatch,
    #[error("the peer does not know us yet")]
    NotFound,
    #[error("the peer has no such stream")]
    UnsupportedStream(#[source] UnsupportedStream),
    #[error("the peer's version is none")]
    Version(#[source] VersionError),
    #[error("the peer answered {0}")]
    Status(StatusCode),
}

/// What the answer to a post means; `body` is the beginning of its body.
pub(crate) fn post_result(status: StatusCode, body: &[u8]) -> Result<(), PeerRefusal> {
    match status {
        StatusCode::NO_CONTENT => Ok(()),
        StatusCode::FORBIDDEN | StatusCode::GONE => Err(PeerRefusal::Removed),
        StatusCode::PRECONDITION_FAILED => Err(mismatch(status, body)),
        status => Err(PeerRefusal::Status(status)),
    }
}

/// What the answer to the request for a stream means.
pub(crate) fn stream_result(
    (node, kind): (&Node, StreamKind),
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), PeerRefusal> {
    // Who says no version is as old as etcd before 2.1, which has no streams: nothing else is looked at then.
    let remote = server_version(headers).map_err(PeerRefusal::Version)?;
    let local = &node.config.local.versions.server;
    check_stream_support(local, &remote, kind).map_err(PeerRefusal::UnsupportedStream)?;
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::GONE => Err(PeerRefusal::Removed),
        StatusCode::NOT_FOUND => Err(PeerRefusal::NotFound),
        StatusCode::PRECONDITION_FAILED => Err(mismatch(status, body)),
        status => Err(PeerRefusal::Status(status)),
    }
}

fn mismatch(status: StatusCode, body: &[u8]) -> PeerRefusal {
    let text = body.strip_suffix(b"\n").unwrap_or(body);
    if text == INCOMPATIBLE_VERSION_BODY.as_bytes() {
        PeerRefusal::IncompatibleVersion
    } else if text == CLUSTER_MISMATCH_BODY.as_bytes() {
        PeerRefusal::ClusterIdMismatch
    } else {
        PeerRefusal::Status(status)
    }
}
