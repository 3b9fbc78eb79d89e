//! The one thing that all transports do.

use std::future::Future;

use http::{Request, Response};

use crate::body::{RequestBody, ResponseBody};
use crate::error::Error;

/// Sends one request and gives its response: Go's `RoundTripper`. Write code against it to test it without a network.
pub trait RoundTripper: Send + Sync {
    /// Sends the request and gives the response as soon as its head is there.
    fn round_trip(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + Send;

    /// Closes connections that are idle, if there are such things.
    fn close_idle(&self) {}
}

impl<T: RoundTripper> RoundTripper for std::sync::Arc<T> {
    fn round_trip(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + Send {
        (**self).round_trip(request)
    }

    fn close_idle(&self) {
        (**self).close_idle();
    }
}
