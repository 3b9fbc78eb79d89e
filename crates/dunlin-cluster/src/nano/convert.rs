//! What links say as what nano says, and the other way: pure.
//!
//! nano's answers have no mark for errors, its pushes no mark for text, and its sessions have numbers with a sign.

use bytes::Bytes;
use dunlin_registry::nodes::{NodeRecord, NodeState};
use prost::Message as _;

use super::messages::{
    CloseSessionRequest, MemberInfo, NotifyMessage, PushMessage, RequestMessage, ResponseMessage,
    SessionClosedRequest,
};
use super::{LABEL_PROTOCOL, LABEL_VIA, PROTOCOL, URL_SCHEME};
use crate::frame::{Call, Ended, Outcome, Push, Refusal, Reply};

/// The code of an answer when nobody serves the route.
const NOT_FOUND: u32 = 404;

/// The code of an answer when whoever serves the route does not take the call.
const UNAVAILABLE: u32 = 503;

/// One unary call to a Go node, about one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    Request(RequestMessage),
    /// With the id of the call that waits for word that it was taken; 0 when none does.
    Notify(NotifyMessage, u64),
    Response(ResponseMessage),
    Push(PushMessage),
    SessionClosed(SessionClosedRequest),
    CloseSession(CloseSessionRequest),
}

/// Calls of ours by their ids, which are answered when a Go node takes a job, or refuses it; 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) taken: u64,
    pub(crate) refused: u64,
}

impl Job {
    /// The session that it is about.
    pub(crate) const fn session(&self) -> i64 {
        match self {
            Self::Request(request) => request.session_id,
            Self::Notify(notify, _) => notify.session_id,
            Self::Response(response) => response.session_id,
            Self::Push(push) => push.session_id,
            Self::SessionClosed(closed) => closed.session_id,
            Self::CloseSession(close) => close.session_id,
        }
    }

    /// Bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Request(request) => request.encoded_len(),
            Self::Notify(notify, _) => notify.encoded_len(),
            Self::Response(response) => response.encoded_len(),
            Self::Push(push) => push.encoded_len(),
            Self::SessionClosed(closed) => closed.encoded_len(),
            Self::CloseSession(close) => close.encoded_len(),
        }
    }

    /// The calls of ours that wait for what becomes of it.
    pub(crate) const fn waiting(&self) -> Waiting {
        match self {
            Self::Request(request) => Waiting { taken: 0, refused: request.id },
            Self::Notify(_, id) => Waiting { taken: *id, refused: *id },
            _ => Waiting { taken: 0, refused: 0 },
        }
    }

    /// That a session has ended.
    pub(crate) const fn ended(session: u64) -> Self {
        Self::SessionClosed(SessionClosedRequest { session_id: session.cast_signed() })
    }
}

/// That a session has ended.
pub(crate) fn ended(session: u64) -> Ended {
    Ended { session, ..Ended::default() }
}

/// A call of a session of ours, or of this node itself: a Go node knows no call without a session, and sessions by their numbers alone.
pub(crate) fn forward((gate_addr, node_session): (&str, u64), call: Call) -> Job {
    let session = if call.session == 0 { node_session } else { call.session };
    let (gate_addr, session_id) = (gate_addr.to_owned(), session.cast_signed());
    let (route, data) = (call.route, call.body);
    match (call.is_notify, call.id) {
        (true, id) | (false, id @ 0) => Job::Notify(NotifyMessage { gate_addr, session_id, route, data }, id),
        (false, id) => Job::Request(RequestMessage { gate_addr, session_id, id, route, data }),
    }
}

/// An answer for a session of a Go gate. An error is JSON, so that the client is not left waiting.
pub(crate) fn response((session_id, id): (i64, u64), outcome: Outcome) -> Job {
    let data = match outcome {
        Outcome::Reply(reply) => reply.body,
        Outcome::Refusal(refusal) => refusal_body(&refusal),
    };
    Job::Response(ResponseMessage { session_id, id, data })
}

fn refusal_body(refusal: &Refusal) -> Bytes {
    let mut body = serde_json::json!({ "code": refusal.code, "message": refusal.message });
    if let (Ok(details), Some(body)) = (serde_json::from_str(&refusal.details), body.as_object_mut()) {
        body.insert("details".to_owned(), details);
    }
    body.to_string().into()
}

/// A push to one of the sessions of a Go gate that it is for.
pub(crate) fn push(session_id: i64, push: &Push) -> Job {
    Job::Push(PushMessage { session_id, route: push.route.clone(), data: push.body.clone() })
}

/// An answer of a Go node.
pub(crate) fn reply(body: Bytes) -> Outcome {
    let is_text = is_text(&body);
    Outcome::Reply(Reply { body, is_text })
}

/// What becomes of a call that a Go node does not take.
pub(crate) fn refusal(status: &tonic::Status) -> Outcome {
    let (code, message) = match status.code() {
        // Go's own for every error of a program: here, that it knows no such route.
        tonic::Code::Unknown | tonic::Code::Unimplemented | tonic::Code::NotFound => {
            (NOT_FOUND, "nobody serves the route")
        }
        _ => (UNAVAILABLE, "the service does not take the call"),
    };
    Outcome::Refusal(Refusal { code, message: message.to_owned(), details: String::new() })
}

/// A push of a Go node to a session of ours.
pub(crate) fn pushed(push: PushMessage) -> Push {
    let is_text = is_text(&push.data);
    Push {
        sessions: vec![push.session_id.cast_unsigned()],
        route: push.route,
        body: push.data,
        is_text,
        coalesce_key: None,
    }
}

/// Whether it is JSON text. No message of protobuf begins so: these bytes are keys of groups, which its third version does not have.
fn is_text(body: &[u8]) -> bool {
    matches!(body.first(), Some(b'{' | b'[')) && std::str::from_utf8(body).is_ok()
}

/// Where a node's record says that it is reached, as `host:port`.
pub(crate) fn addr(record: &NodeRecord) -> Option<&str> {
    let url = record.urls.first()?;
    Some(url.split_once("://").map_or(&**url, |(_, addr)| addr).trim_end_matches('/'))
}

/// Whether a record is of a Go node.
pub(crate) fn is_nano(record: &NodeRecord) -> bool {
    record.labels.get(LABEL_PROTOCOL).is_some_and(|protocol| protocol == PROTOCOL)
}

/// The record of a Go node, as dunlin nodes know it. `via` is the address of the node that it has registered with.
pub(crate) fn record(id: u64, info: &MemberInfo, via: &str) -> NodeRecord {
    let labels = [(LABEL_PROTOCOL, PROTOCOL), (LABEL_VIA, via)];
    let name = if info.label.is_empty() { &info.service_addr } else { &info.label };
    NodeRecord {
        id,
        name: name.clone(),
        urls: vec![format!("{URL_SCHEME}{}", info.service_addr)],
        services: info.services.clone(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        state: NodeState::Up.into(),
        ..NodeRecord::default()
    }
}

/// A node as Go nodes know it; `None` when it says no address.
pub(crate) fn member_info(record: &NodeRecord) -> Option<MemberInfo> {
    let (label, service_addr) = (record.name.clone(), addr(record)?.to_owned());
    Some(MemberInfo { label, service_addr, services: record.services.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notify_is_answered_when_it_is_taken_and_a_request_only_when_it_is_refused() {
        let call = |id, is_notify| Call {
            id,
            is_notify,
            session: 7,
            route: "Room.Say".to_owned(),
            ..Call::default()
        };
        let request = forward(("g:1", 1), call(9, false));
        assert_eq!((request.waiting(), request.session()), (Waiting { taken: 0, refused: 9 }, 7));
        assert_eq!(forward(("g:1", 1), call(9, true)).waiting(), Waiting { taken: 9, refused: 9 });
        assert!(
            matches!(forward(("g:1", 1), call(0, false)), Job::Notify(notify, 0) if notify.gate_addr == "g:1")
        );
    }

    #[test]
    fn an_error_is_an_answer_whose_body_says_it() {
        let refusal = |details: &str| {
            let refusal =
                Refusal { code: 404, message: "no \"such\"".to_owned(), details: details.to_owned() };
            match response((1, 2), Outcome::Refusal(refusal)) {
                Job::Response(response) => String::from_utf8(response.data.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refusal(""), r#"{"code":404,"message":"no \"such\""}"#);
        assert_eq!(refusal("[1]"), r#"{"code":404,"details":[1],"message":"no \"such\""}"#);
    }

    #[test]
    fn only_what_can_be_no_protobuf_is_taken_for_text() {
        let text = |body: &'static [u8]| match reply(body.into()) {
            Outcome::Reply(reply) => reply.is_text,
            Outcome::Refusal(_) => panic!(),
        };
        assert!(text(br#"{"a":1}"#) && text(b"[]"));
        assert!(!text(b"") && !text(b"\x0a\x02{}") && !text(b"{\xff}") && !text(b"plain"));
    }

    #[test]
    fn a_record_says_of_a_go_node_what_it_said_of_itself() {
        let info = MemberInfo {
            label: "game".to_owned(),
            service_addr: "h:1".to_owned(),
            services: vec!["A".to_owned()],
        };
        let record = record(3, &info, "m:1");
        assert!(is_nano(&record));
        assert_eq!((record.id, addr(&record)), (3, Some("h:1")));
        assert_eq!(member_info(&record), Some(info));
        let ours = NodeRecord { urls: vec!["http://h:2".to_owned()], ..NodeRecord::default() };
        assert_eq!((addr(&ours), is_nano(&ours)), (Some("h:2"), false));
    }
}
