//! A connection after HTTP: what `101 Switching Protocols` and `CONNECT` leave, read and written by its new owner.

use http::Response;
use hyper_util::rt::TokioIo;

use crate::body::ResponseBody;
use crate::error::{Error, ErrorKind};

/// The byte stream of an upgraded connection. Its slot in the pool is free when it is dropped.
pub type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// Takes over the connection of a response with status 101, or of an accepted `CONNECT`.
///
/// # Errors
///
/// [`Error`] when the response upgrades nothing.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub async fn upgrade(response: Response<ResponseBody>) -> Result<Upgraded, Error> {
    let key = response.body().conn().map(|conn| conn.key.clone());
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| {
        let error = Error::new(ErrorKind::Protocol).because(error).having_sent(true);
        match &key {
            Some(key) => error.to(key),
            None => error,
        }
    })?;
    Ok(TokioIo::new(upgraded))
}
