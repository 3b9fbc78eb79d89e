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
use crate::core::{Admission, MemberId, PeerUrls, ProbeAnswer, Refusal, StreamKind, check_compatible};
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
    F: FnOnce(Arc<Node>, Request<RequestBytes>) -> Fut,
    Fut: Future<Output = Answer>,
{
    if request.method() != Method::POST {
        return wrong_method("POST");
    }
    if let Some(refusal) = mismatch(node, request.headers()) {
        return refusal;
    }
    meet(node, request.headers());
    let mut answer = answer(node.clone(), request).await;
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

async fn pipeline(node: Arc<Node>, request: Request<RequestBytes>) -> Answer {
    let from = headers::sender(request.headers());
    let mut body = request.into_body();
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
    // A member speaks for itself: it said who it is, and with TLS it has proven it. But a transfer of leadership is from whom
    // it is to go to, whoever passes it on.
    if from != Some(MemberId(message.from)) && !message.is(MessageType::TransferLeader) {
        return refuse(StatusCode::UNAUTHORIZED, "the message is not from its sender");
    }
    if let Some(link) = node.peer(MemberId(message.from)) {
        link.traffic.received(bytes.len());
    }
    let len = bytes.len();
    drop(bytes);
    process(&node, (message, len), "error processing raft message").await
}

async fn process(node: &Node, (message, len): (Message, usize), failure: &str) -> Answer {
    let from = message.from;
    match node.process(message, len).await {
        Ok(()) => taken(),
        Err(NotTaken::ByRaft(ProcessError::Removed)) => {
            refuse(StatusCode::FORBIDDEN, &ProcessError::Removed.to_string())
        }
        Err(NotTaken::ByRaft(error)) => {
            tracing::debug!(%error, "raft did not take a message");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, failure)
        }
        Err(NotTaken::Refused(refusal)) => {
            tracing::warn!(from, %refusal, "a message was refused");
            if let Some(link) = node.peer(MemberId(from)) {
                link.traffic.not_received();
            }
            refuse(refusal.status(), &refusal.to_string())
        }
    }
}

async fn snapshot(node: Arc<Node>, request: Request<RequestBytes>) -> Answer {
    let sender = headers::sender(request.headers()).and_then(|from| node.peer(from));
    let begin = Instant::now();
    if let Some(sender) = &sender {
        sender.traffic.snapshots_received.begin();
    }
    let received = receive_snapshot(&node, request.into_body()).await;
    if let Some(sender) = &sender {
        sender.traffic.snapshots_received.end(begin.elapsed(), received.is_ok());
    }
    match received {
        Ok(message) => {
            let len = raftpb::encoded_len(&message);
            process(&node, (message, len), "failed to process raft message").await
        }
        Err(Refused::Head(error)) => {
            refuse(StatusCode::BAD_REQUEST, &format!("failed to decode raft message ({error})"))
        }
        Err(Refused::Message(refusal)) => refuse(refusal.status(), &refusal.to_string()),
        Err(Refused::WrongType) => refuse(StatusCode::BAD_REQUEST, "wrong raft message type"),
        Err(Refused::Save(what)) => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to save KV snapshot ({what})"))
        }
    }
}

/// Why a snapshot is not taken.
enum Refused {
    Head(SnapshotError),
    WrongType,
    Message(Refusal),
    Save(&'static str),
}

async fn receive_snapshot(node: &Node, mut body: RequestBytes) -> Result<Message, Refused> {
    let mut decoder = SnapshotDecoder::new(node.config.limits);
    // Without a file, Raft would not look at the snapshot, so nobody needs its database.
    let mut head: Option<(Message, Option<Incoming>)> = None;
    while let Some(piece) = next_piece(node, &mut body).await {
        let piece = piece.map_err(|()| Refused::Save("the body was cut short"))?;
        let mut input = &piece[..];
        while let Some(event) = decoder.decode(&mut input).map_err(Refused::Head)? {
            match (event, &mut head) {
                (SnapshotEvent::Head(message), _) => {
                    if !message.is(MessageType::Snap) {
                        return Err(Refused::WrongType);
                    }
                    let incoming = match node.judge(message.clone()).map_err(Refused::Message)? {
                        Admission::Deliver(_) => Some(begin(node, &message).await?),
                        Admission::Ignore(_) => None,
                    };
                    head = Some((message, incoming));
                }
                (SnapshotEvent::Body(bytes), Some((_, Some(incoming)))) => {
                    incoming.write(bytes).await.map_err(|error| save_failed(&error))?;
                }
                (SnapshotEvent::Body(_), _) => {}
            }
        }
    }
    decoder.handle_end().map_err(Refused::Head)?;
    let Some((message, incoming)) = head else { return Err(Refused::Save("the body was cut short")) };
    if let Some(incoming) = incoming {
        incoming.finish().await.map_err(|error| save_failed(&error))?;
    }
    Ok(message)
}

/// Begins the file of a snapshot's database.
async fn begin(node: &Node, message: &Message) -> Result<Incoming, Refused> {
    let Some(dir) = &node.config.snapshot_dir else {
        return Err(Refused::Save("this node takes no databases"));
    };
    let incoming = Incoming::begin(dir, message.snapshot.metadata.index).await;
    incoming.map_err(|error| save_failed(&error))
}

fn save_failed(error: &std::io::Error) -> Refused {
    tracing::error!(%error, "a snapshot could not be saved");
    Refused::Save("it could not be written")
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
