//! Answers the peers. Section "Endpoints" of `docs/protocol/raft.md`.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming as RequestBytes;
use tokio::time::timeout;

use super::headers;
use super::link::Link;
use super::outgoing::Outgoing;
use super::snapshot::Incoming;
use super::tls::Identity;
use crate::codec::{SnapshotDecoder, SnapshotError, SnapshotEvent};
use crate::core::{MemberId, PeerUrls, ProbeAnswer, Refusal, StreamKind, check_compatible};
use crate::node::{Node, NotTaken};
use crate::raft::ProcessError;
use crate::raftpb::{self, Message, MessageType};

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;
type Answer = Response<AnswerBody>;

/// Answers one request.
pub(crate) async fn answer(node: Arc<Node>, identity: Identity, request: Request<RequestBytes>) -> Answer {
    let path = request.uri().path();
    if path != headers::PROBING_PATH && !is_who_they_say(&identity, &request) {
        return refuse(StatusCode::UNAUTHORIZED, "the certificate is not that of this member");
    }
    match path {
        headers::PROBING_PATH => probing(),
        headers::PIPELINE_PATH => in_cluster(&node, request, pipeline).await,
        headers::SNAPSHOT_PATH => in_cluster(&node, request, snapshot).await,
        _ => match path.strip_prefix(headers::STREAM_PATH).map(str::to_owned) {
            Some(rest) => {
                let mut answer = stream(&node, &request, &rest);
                headers::answer_version(&node, &mut answer);
                answer
            }
            None => refuse(StatusCode::NOT_FOUND, "404 page not found"),
        },
    }
}

/// Whether the sender can prove to be the member that it says it is.
fn is_who_they_say(identity: &Identity, request: &Request<RequestBytes>) -> bool {
    if matches!(identity, Identity::Trusted) {
        return true;
    }
    let from = headers::sender(request.headers());
    let reads_as = request
        .uri()
        .path()
        .strip_prefix(headers::STREAM_PATH)
        .map(|rest| rest.rsplit('/').next().and_then(|id| id.parse::<MemberId>().ok()));
    from.is_some_and(|from| identity.may_be(from) && reads_as.is_none_or(|reader| reader == Some(from)))
}

fn refuse(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::from(format!("{text}\n")).boxed_unsync());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn wrong_method(allowed: &'static str) -> Answer {
    let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn taken() -> Answer {
    let mut answer = Response::new(Empty::new().boxed_unsync());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn probing() -> Answer {
    let encoded = ProbeAnswer { is_ok: true, now: SystemTime::now() }.encode();
    let Ok(encoded) = encoded else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "this node's clock is nowhere near the present");
    };
    let mut answer = Response::new(Full::from(encoded).boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// The refusal, where the two sides' versions or clusters do not go together. A stranger is not told our cluster.
fn mismatch(node: &Node, headers: &http::HeaderMap) -> Option<Answer> {
    let incompatible = check_compatible(&node.config.local, headers).err()?;
    Some(refuse(StatusCode::PRECONDITION_FAILED, incompatible.body()))
}

/// Somebody behind us may not know us as a peer, nor we them: their URLs let us answer until Raft says who they are.
fn meet(node: &Arc<Node>, headers: &http::HeaderMap) {
    let Some(from) = headers::sender(headers) else { return };
    let Some(urls) = headers::text(headers, &headers::PEER_URLS) else { return };
    match PeerUrls::from_header(urls) {
        Ok(urls) => node.meet(from, urls),
        Err(error) => tracing::debug!(%from, %error, "a stranger's URLs are none"),
    }
}

async fn in_cluster<F, Fut>(node: &Arc<Node>, request: Request<RequestBytes>, answer: F) -> Answer
where
    F: FnOnce(Arc<Node>, MemberId, RequestBytes) -> Fut,
    Fut: Future<Output = Answer>,
{
    if request.method() != Method::POST {
        return wrong_method("POST");
    }
    if let Some(refusal) = mismatch(node, request.headers()) {
        return refusal;
    }
    let Some(sender) = headers::sender(request.headers()) else {
        return refuse(StatusCode::BAD_REQUEST, "the request does not say which member it is from");
    };
    meet(node, request.headers());
    let mut answer = answer(node.clone(), sender, request.into_body()).await;
    headers::answer_cluster(node, &mut answer);
    answer
}

/// The next bytes of a request's body; an error when it fails, ends in something else or takes too long.
async fn next_piece(node: &Node, body: &mut RequestBytes) -> Option<Result<Bytes, ()>> {
    match timeout(node.config.socket_timeout, body.frame()).await {
        Ok(None) => None,
        Ok(Some(Ok(frame))) => Some(frame.into_data().map_err(drop)),
        Ok(Some(Err(_))) | Err(_) => Some(Err(())),
    }
}

async fn pipeline(node: Arc<Node>, sender: MemberId, mut body: RequestBytes) -> Answer {
    let len_max = node.config.limits.message_len_max;
    let mut bytes = BytesMut::new();
    while let Some(piece) = next_piece(&node, &mut body).await {
        let Ok(piece) = piece else {
            return refuse(StatusCode::BAD_REQUEST, "error reading raft message");
        };
        if piece.len() > len_max - bytes.len() {
            return refuse(StatusCode::BAD_REQUEST, "error reading raft message");
        }
        bytes.extend_from_slice(&piece);
    }
    let Ok(message) = raftpb::decode::<Message>(&bytes, &node.config.limits) else {
        return refuse(StatusCode::BAD_REQUEST, "error unmarshalling raft message");
    };
    if let Some(link) = node.peer(sender) {
        link.traffic.received(bytes.len());
    }
    let len = bytes.len();
    drop(bytes);
    match node.process(sender, message, len).await {
        Ok(()) => taken(),
        Err(NotTaken::Refused(refusal)) => refused(&node, sender, &refusal),
        Err(NotTaken::ByRaft(error)) => not_taken(error, "error processing raft message"),
    }
}

fn not_taken(error: ProcessError, failure: &str) -> Answer {
    match error {
        ProcessError::Removed => refuse(StatusCode::FORBIDDEN, &error.to_string()),
        ProcessError::Stopped | ProcessError::Overloaded => {
            tracing::debug!(%error, "raft did not take a message");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, failure)
        }
    }
}

fn refused(node: &Node, sender: MemberId, refusal: &Refusal) -> Answer {
    tracing::warn!(%sender, %refusal, "a message was refused");
    if let Some(link) = node.peer(sender) {
        link.traffic.not_received();
    }
    refuse(refusal.status(), &refusal.to_string())
}

async fn snapshot(node: Arc<Node>, sender: MemberId, body: RequestBytes) -> Answer {
    let link = node.peer(sender);
    let begin = Instant::now();
    if let Some(link) = &link {
        link.traffic.snapshots_received.begin();
    }
    let received = receive_snapshot(&node, sender, body).await;
    if let Some(link) = &link {
        link.traffic.snapshots_received.end(begin.elapsed(), received.is_ok());
    }
    match received {
        Ok(Some(message)) => match node.deliver(sender, message).await {
            Ok(()) => taken(),
            Err(error) => not_taken(error, "failed to process raft message"),
        },
        Ok(None) => taken(),
        Err(NotReceived::Head(error)) => {
            refuse(StatusCode::BAD_REQUEST, &format!("failed to decode raft message ({error})"))
        }
        Err(NotReceived::Message(refusal)) => refused(&node, sender, &refusal),
        Err(NotReceived::WrongType) => refuse(StatusCode::BAD_REQUEST, "wrong raft message type"),
        Err(NotReceived::Save(what)) => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to save KV snapshot ({what})"))
        }
    }
}

/// Why a snapshot is not taken.
enum NotReceived {
    Head(SnapshotError),
    WrongType,
    Message(Refusal),
    Save(&'static str),
}

/// Takes a snapshot with its database. `None`: Raft would not look at it, so nobody needs its database, and no file was made.
async fn receive_snapshot(
    node: &Node,
    sender: MemberId,
    mut body: RequestBytes,
) -> Result<Option<Message>, NotReceived> {
    let mut decoder = SnapshotDecoder::new(node.config.limits);
    let mut saving: Option<(Message, Incoming)> = None;
    while let Some(piece) = next_piece(node, &mut body).await {
        let piece = piece.map_err(|()| NotReceived::Save("the body was cut short"))?;
        let mut input = &piece[..];
        while let Some(event) = decoder.decode(&mut input).map_err(NotReceived::Head)? {
            match (event, &mut saving) {
                (SnapshotEvent::Head(mut message), _) => {
                    if !message.is(MessageType::Snap) {
                        return Err(NotReceived::WrongType);
                    }
                    // Only the lengths of appends are counted.
                    let is_wanted = node.admit((sender, Instant::now()), &mut message, 0);
                    if is_wanted.map_err(NotReceived::Message)? {
                        let incoming = begin(node, &message).await?;
                        saving = Some((message, incoming));
                    }
                }
                (SnapshotEvent::Body(bytes), Some((_, incoming))) => {
                    incoming.write(bytes).await.map_err(|error| save_failed(&error))?;
                }
                (SnapshotEvent::Body(_), None) => {}
            }
        }
    }
    decoder.handle_end().map_err(NotReceived::Head)?;
    let Some((message, incoming)) = saving else { return Ok(None) };
    incoming.finish().await.map_err(|error| save_failed(&error))?;
    Ok(Some(message))
}

/// Begins the file of a snapshot's database.
async fn begin(node: &Node, message: &Message) -> Result<Incoming, NotReceived> {
    let Some(dir) = &node.config.snapshot_dir else {
        return Err(NotReceived::Save("this node takes no databases"));
    };
    let incoming = Incoming::begin(dir, message.snapshot.metadata.index).await;
    incoming.map_err(|error| save_failed(&error))
}

fn save_failed(error: &std::io::Error) -> NotReceived {
    tracing::error!(%error, "a snapshot could not be saved");
    NotReceived::Save("it could not be written")
}

fn stream(node: &Arc<Node>, request: &Request<RequestBytes>, rest: &str) -> Answer {
    if request.method() != Method::GET {
        return wrong_method("GET");
    }
    if let Some(refusal) = mismatch(node, request.headers()) {
        return refusal;
    }
    let mut answer = stream_in_cluster(node, request.headers(), rest);
    headers::answer_cluster(node, &mut answer);
    answer
}

fn stream_in_cluster(node: &Arc<Node>, request: &http::HeaderMap, rest: &str) -> Answer {
    let (kind, from) = match rest.split_once('/') {
        Some(("message", from)) => (StreamKind::Message, from),
        Some(("msgapp", from)) => (StreamKind::MsgApp, from),
        _ => return refuse(StatusCode::NOT_FOUND, "invalid path"),
    };
    let Ok(from) = from.parse::<MemberId>() else {
        return refuse(StatusCode::NOT_FOUND, "invalid from");
    };
    if node.raft.is_id_removed(from) {
        return refuse(StatusCode::GONE, "removed member");
    }
    let Some(link) = node.peer(from) else {
        meet(node, request);
        return refuse(StatusCode::NOT_FOUND, "error sender not found");
    };
    if headers::text(request, &headers::RAFT_TO) != Some(node.config.id.to_string().as_str()) {
        return refuse(StatusCode::PRECONDITION_FAILED, "to field mismatch");
    }
    tracing::debug!(peer = %from, %kind, "the peer opened its stream");
    opened(&link, kind)
}

fn opened(link: &Arc<Link>, kind: StreamKind) -> Answer {
    Response::new(Outgoing::attach(link, kind).boxed_unsync())
}
