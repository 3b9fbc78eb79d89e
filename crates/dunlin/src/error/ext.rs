//! Turning other people's errors into answers without telling a client what it must not know.

use std::borrow::Cow;

use super::{Error, Result};

/// Turns a foreign error into an [`Error`] whose cause is logged and kept from the client.
///
/// It works on every error that fits a `Box<dyn std::error::Error + Send + Sync>`, so on all usual ones.
///
/// ```
/// use dunlin::{Result, ResultExt};
///
/// fn read(path: &str) -> Result<String> {
///     std::fs::read_to_string(path).or_internal()
/// }
/// let error = read("/nowhere").unwrap_err();
/// assert_eq!((error.code(), error.message()), (500, "internal error"));
/// ```
pub trait ResultExt<T>: Sized {
    /// Answers code 500 and "internal error"; what really happened is logged.
    ///
    /// # Errors
    ///
    /// [`Error`] with the failure as its cause.
    fn or_internal(self) -> Result<T>;

    /// Answers with a code and message of your own; what really happened is logged.
    ///
    /// # Errors
    ///
    /// [`Error`] with the failure as its cause.
    fn or_error(self, code: u32, message: impl Into<Cow<'static, str>>) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> ResultExt<T> for std::result::Result<T, E> {
    fn or_internal(self) -> Result<T> {
        self.or_error(Error::INTERNAL, "internal error")
    }

    fn or_error(self, code: u32, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.map_err(|error| Error::new(code, message).with_cause(error))
    }
}
