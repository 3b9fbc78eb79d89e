//! Bodies: what a request brings ([`RequestBody`]), what hyper is given of it, and what a response leaves
//! ([`ResponseBody`]).

mod request;
mod response;
mod upload;

pub use self::request::RequestBody;
pub use self::response::ResponseBody;
pub(crate) use self::response::{Live, finish};
pub(crate) use self::upload::{Progress, Source, Upload};
