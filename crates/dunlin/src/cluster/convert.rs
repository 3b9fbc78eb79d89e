//! Errors, answers and reasons as frames, and back.

use dunlin_cluster::frame::{Close, Ended, Outcome, Refusal, Reply as SentReply};

use crate::error::{Error, Result};
use crate::service::Reply;
use crate::session::CloseReason;

/// Codes of reasons. Those that are given out never change their meaning.
const BY_CLIENT: u32 = 1;
const KICKED: u32 = 2;
const BY_SERVER: u32 = 3;
const TOO_SLOW: u32 = 4;
const SILENT: u32 = 5;
const PROTOCOL: u32 = 6;
const SHUTDOWN: u32 = 7;
const GATE_LOST: u32 = 8;
const FLOODING: u32 = 9;

/// What a handler returned, for the node of its client.
pub(super) fn outcome(result: Result<Reply>) -> Outcome {
    match result {
        Ok(reply) => {
            let is_text = reply.is_text();
            Outcome::Reply(SentReply { body: reply.into_body(), is_text })
        }
        Err(error) => Outcome::Refusal(Refusal {
            code: error.code(),
            message: error.message().to_owned(),
            details: error.details().map(ToString::to_string).unwrap_or_default(),
        }),
    }
}

/// What another node answers.
pub(super) fn result(outcome: Outcome) -> Result<Reply> {
    match outcome {
        Outcome::Reply(SentReply { body, is_text: true }) => Ok(Reply::text(body)),
        Outcome::Reply(SentReply { body, is_text: false }) => Ok(Reply::raw(body)),
        Outcome::Refusal(Refusal { code, message, details }) => {
            let error = Error::new(code, message);
            match serde_json::from_str::<serde_json::Value>(&details) {
                Ok(details) => Err(error.with_details(details)),
                // There are none.
                Err(_) => Err(error),
            }
        }
    }
}

/// The end of a session, for those who know it.
pub(super) fn ended(session: u64, reason: &CloseReason) -> Ended {
    let (cause, detail) = match reason {
        CloseReason::ByClient => (BY_CLIENT, ""),
        CloseReason::Kicked { reason } => (KICKED, &**reason),
        CloseReason::ByServer => (BY_SERVER, ""),
        CloseReason::TooSlow => (TOO_SLOW, ""),
        CloseReason::Silent => (SILENT, ""),
        CloseReason::Flooding => (FLOODING, ""),
        CloseReason::Protocol { fault } => (PROTOCOL, &**fault),
        CloseReason::Shutdown => (SHUTDOWN, ""),
        CloseReason::GateLost => (GATE_LOST, ""),
    };
    Ended { session, cause, detail: detail.to_owned() }
}

/// Why a session of another node ended.
pub(super) fn reason(ended: Ended) -> CloseReason {
    match ended.cause {
        KICKED => CloseReason::Kicked { reason: ended.detail },
        BY_SERVER => CloseReason::ByServer,
        TOO_SLOW => CloseReason::TooSlow,
        SILENT => CloseReason::Silent,
        PROTOCOL => CloseReason::Protocol { fault: ended.detail },
        FLOODING => CloseReason::Flooding,
        SHUTDOWN => CloseReason::Shutdown,
        GATE_LOST => CloseReason::GateLost,
        // A reason of a version to come, or of a node in Go, which says none.
        _ => CloseReason::ByClient,
    }
}

/// What a handler here asks of the node of its client.
pub(super) fn close(session: u64, reason: &CloseReason) -> Close {
    match reason {
        CloseReason::Kicked { reason } => Close { session, is_kick: true, reason: reason.clone() },
        _ => Close { session, is_kick: false, reason: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_as_it_is() {
        let text = || "why".to_owned();
        let reasons = [
            CloseReason::ByClient,
            CloseReason::Kicked { reason: text() },
            CloseReason::ByServer,
            CloseReason::TooSlow,
            CloseReason::Silent,
            CloseReason::Flooding,
            CloseReason::Protocol { fault: text() },
            CloseReason::Shutdown,
            CloseReason::GateLost,
        ];
        for told in reasons {
            assert_eq!(reason(ended(7, &told)), told);
        }
    }

    #[test]
    fn an_error_arrives_with_its_code_its_message_and_its_details() {
        let error = Error::new(1001, "the table is full").with_details(serde_json::json!({ "seats": 4 }));
        let told = result(outcome(Err(error))).unwrap_err();
        assert_eq!((told.code(), told.message()), (1001, "the table is full"));
        assert_eq!(told.details().unwrap()["seats"], 4);
        assert!(result(outcome(Err(Error::timeout("late")))).unwrap_err().details().is_none());
    }
}
