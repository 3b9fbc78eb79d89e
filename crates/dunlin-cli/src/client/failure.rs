//! What went wrong when a server was asked: for people, for programs, and as an exit code.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use dunlin_client::{CloseReason, ConnectError, NotifyError, RequestError};
use serde_json::{Value, json};

use super::body::{BodyError, printable};

/// What went wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(super) kind: Kind,
    message: String,
    /// What the server's error says besides.
    details: Option<Value>,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What was typed is not understood.
    Input,
    /// The server answered with an error of this code.
    Server(u32),
    /// No answer came in time.
    Timeout,
    /// There is no connection.
    Connection,
}

impl Failure {
    fn new(kind: Kind, error: &(dyn Error + 'static), hint: &str) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message.push_str(hint);
        Self { kind, message, details: None }
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into(), details: None }
    }

    pub(crate) fn body(error: &BodyError) -> Self {
        Self::new(Kind::Input, error, "")
    }

    pub(crate) fn connect(error: &ConnectError) -> Self {
        match error {
            ConnectError::Url(_) => Self::new(Kind::Input, error, "; write one such as ws://127.0.0.1:3250/"),
            ConnectError::Tcp { .. } => Self::new(Kind::Connection, error, "; is a server running there?"),
            ConnectError::Tls { .. } => {
                Self::new(Kind::Connection, error, "; --tls-authority trusts an authority of your own")
            }
            ConnectError::TimedOut { .. } => Self::new(
                Kind::Timeout,
                error,
                "; --timeout gives it longer, if it speaks this protocol at all",
            ),
            error => Self::new(Kind::Connection, error, ""),
        }
    }

    pub(super) fn request(error: &RequestError) -> Self {
        match error {
            RequestError::Server(error) => Self {
                kind: Kind::Server(error.code),
                message: error.message.clone(),
                details: error.details.clone(),
            },
            RequestError::TimedOut { .. } => Self::new(Kind::Timeout, error, ""),
            RequestError::TooLong(_) => Self::new(Kind::Input, error, ""),
            error => Self::new(Kind::Connection, error, ""),
        }
    }

    pub(super) fn notify(error: &NotifyError) -> Self {
        match error {
            NotifyError::TooLong(_) => Self::new(Kind::Input, error, ""),
            NotifyError::TimedOut { .. } => Self::new(Kind::Timeout, error, ""),
            error => Self::new(Kind::Connection, error, ""),
        }
    }

    pub(super) fn closed(reason: &CloseReason) -> Self {
        Self::new(Kind::Connection, reason, "")
    }

    pub(super) fn too_few(count: u64, wanted: u64) -> Self {
        let message = format!("{count} of {wanted} pushes came in time");
        Self { kind: Kind::Timeout, message, details: None }
    }

    pub(crate) const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Input => 2,
            Kind::Server(_) => 4,
            Kind::Timeout | Kind::Connection => 5,
        }
    }

    /// One line, for people or as JSON.
    pub(super) fn line(&self, is_json: bool) -> String {
        let Self { kind, message, details } = self;
        if is_json {
            let (kind, code) = match kind {
                Kind::Input => ("input", None),
                Kind::Server(code) => ("server", Some(*code)),
                Kind::Timeout => ("timeout", None),
                Kind::Connection => ("connection", None),
            };
            let error = json!({ "kind": kind, "code": code, "message": message, "details": details });
            return json!({ "error": error }).to_string();
        }
        let code = match kind {
            Kind::Server(code) => format!("error {code}"),
            _ => "error".to_owned(),
        };
        let details = details.as_ref().map_or_else(String::new, |details| format!(" {details}"));
        printable(&format!("{code}: {message}{details}"))
    }

    /// Writes the line, and gives the exit code.
    pub(crate) fn report(&self, is_json: bool, err: &mut impl Write) -> Result<ExitCode> {
        writeln!(err, "{}", self.line(is_json)).context("standard error is closed")?;
        Ok(ExitCode::from(self.exit_code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_server_is_shown_with_its_code_and_details() {
        let details = Some(json!({ "field": "name" }));
        let failure = Failure { kind: Kind::Server(400), message: "no name".to_owned(), details };
        assert_eq!(failure.line(false), "error 400: no name {\"field\":\"name\"}");
        let json: Value = serde_json::from_str(&failure.line(true)).unwrap();
        assert_eq!((&json["error"]["code"], &json["error"]["kind"]), (&json!(400), &json!("server")));
        assert_eq!(failure.exit_code(), 4);
    }

    #[test]
    fn a_message_of_the_server_cannot_act_on_a_terminal() {
        let failure = Failure { kind: Kind::Server(1), message: "\u{1b}[2J".to_owned(), details: None };
        assert_eq!(failure.line(false), "error 1: \\u001b[2J");
    }
}
