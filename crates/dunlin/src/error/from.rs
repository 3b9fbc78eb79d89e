//! Which code each of our own failures becomes when a handler passes it on with `?`.

use super::Error;
use crate::group::{BroadcastError, GroupError};
use crate::serializer::{DeserializeError, SerializeError};
use crate::session::{BindError, PushError, SessionClosed, ShareError};
use crate::timer::TimerError;

impl From<SessionClosed> for Error {
    fn from(error: SessionClosed) -> Self {
        Self::new(Self::CLOSED, error.to_string())
    }
}

impl From<BindError> for Error {
    fn from(error: BindError) -> Self {
        let code = match error {
            BindError::Closed => Self::CLOSED,
            BindError::AlreadyBound { .. } => Self::CONFLICT,
            BindError::Empty => Self::BAD_REQUEST,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PushError> for Error {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Closed => Self::new(Self::CLOSED, error.to_string()),
            PushError::QueueFull { .. } => Self::overloaded(error.to_string()),
            PushError::Unreachable => Self::unavailable(error.to_string()),
            PushError::TooLong { .. } | PushError::Serialize { .. } => {
                Self::internal("the push cannot be sent").with_cause(error)
            }
        }
    }
}

impl From<ShareError> for Error {
    fn from(error: ShareError) -> Self {
        match error {
            ShareError::Closed => Self::new(Self::CLOSED, error.to_string()),
            ShareError::Serialize { .. } | ShareError::TooLong { .. } => {
                Self::internal("the session cannot carry more").with_cause(error)
            }
        }
    }
}

impl From<GroupError> for Error {
    fn from(error: GroupError) -> Self {
        let code = match error {
            GroupError::Closed => Self::NOT_FOUND,
            GroupError::AlreadyMember | GroupError::NotMember => Self::CONFLICT,
            GroupError::SessionClosed => Self::CLOSED,
        };
        Self::new(code, error.to_string())
    }
}

impl From<BroadcastError> for Error {
    fn from(error: BroadcastError) -> Self {
        match error {
            BroadcastError::Closed => Self::not_found(error.to_string()),
            BroadcastError::Push(push) => push.into(),
        }
    }
}

impl From<TimerError> for Error {
    fn from(error: TimerError) -> Self {
        match error {
            TimerError::Ended => Self::new(Self::CLOSED, error.to_string()),
            TimerError::TooMany { .. } => Self::overloaded(error.to_string()),
            TimerError::NoRuntime | TimerError::ZeroPeriod => {
                Self::internal("the timer cannot be set").with_cause(error)
            }
        }
    }
}

impl From<SerializeError> for Error {
    fn from(error: SerializeError) -> Self {
        Self::internal("the answer cannot be serialised").with_cause(error)
    }
}

impl From<DeserializeError> for Error {
    fn from(error: DeserializeError) -> Self {
        match error {
            DeserializeError::Malformed { .. } => Self::bad_request(error.to_string()),
            DeserializeError::NotProtobuf { .. } => {
                Self::internal("the payload cannot be read").with_cause(error)
            }
        }
    }
}

/// What tower's own layers fail with. An [`Error`] inside comes out as it was; anything else is internal.
impl From<Box<dyn std::error::Error + Send + Sync>> for Error {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => *error,
            Err(cause) => Self::internal("internal error").with_cause(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_went_through_a_box_comes_out_as_it_went_in() {
        let boxed: Box<dyn std::error::Error + Send + Sync> = Error::forbidden("not yours").into();
        assert_eq!(Error::from(boxed).code(), Error::FORBIDDEN);
    }

    #[test]
    fn a_foreign_error_in_a_box_is_hidden_from_the_client() {
        let boxed: Box<dyn std::error::Error + Send + Sync> = "password is hunter2".into();
        let error = Error::from(boxed);
        assert_eq!((error.code(), error.message()), (Error::INTERNAL, "internal error"));
    }
}
