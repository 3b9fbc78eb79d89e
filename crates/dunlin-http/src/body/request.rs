//! The body of a request, which knows whether it can be made again.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use crate::error::BoxError;

pub(crate) type BoxBody = UnsyncBoxBody<Bytes, BoxError>;

/// The body of a request.
///
/// Whether a request can be sent again after its connection was closed under it depends on its body: none and bytes can
/// always be made again, a [`stream`](Self::stream) only until it was read from, a [`replay`](Self::replay) whenever
/// its function is called: it is what `GetBody` is in Go.
///
/// ```
/// use dunlin_http::RequestBody;
///
/// let none = RequestBody::empty();
/// let text = RequestBody::from("hello");
/// let replay = RequestBody::replay(|| http_body_util::Full::new(bytes::Bytes::from_static(b"again")));
/// assert!(none.can_be_made_again() && text.can_be_made_again() && replay.can_be_made_again());
/// ```
#[derive(Default)]
pub struct RequestBody(pub(crate) Kind);

#[derive(Default)]
pub(crate) enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream(BoxBody),
    Replay(Replay),
}

pub(crate) type Replay = std::sync::Arc<dyn Fn() -> BoxBody + Send + Sync>;

impl RequestBody {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is read once, frame by frame. A length it knows is sent as `Content-Length`, else it goes in chunks.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Stream(body.map_err(Into::into).boxed_unsync()))
    }

    /// A body that can be made again: the function makes it, for each attempt anew.
    pub fn replay<F, B>(make: F) -> Self
    where
        F: Fn() -> B + Send + Sync + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Replay(std::sync::Arc::new(move || make().map_err(Into::into).boxed_unsync())))
    }

    /// Whether it can be made again after it was read from.
    #[must_use]
    pub const fn can_be_made_again(&self) -> bool {
        !matches!(self.0, Kind::Stream(_))
    }

    /// The same body once more; `None` for a stream.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Kind::Empty => Some(Self(Kind::Empty)),
            Kind::Bytes(bytes) => Some(Self(Kind::Bytes(bytes.clone()))),
            Kind::Replay(make) => Some(Self(Kind::Replay(make.clone()))),
            Kind::Stream(_) => None,
        }
    }

    /// Its length in bytes, if that is known before it is read.
    pub(crate) fn exact_len(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Stream(body) => body.size_hint().exact(),
            Kind::Replay(_) => None,
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("RequestBody::Empty"),
            Kind::Bytes(bytes) => write!(f, "RequestBody::Bytes({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("RequestBody::Stream"),
            Kind::Replay(_) => f.write_str("RequestBody::Replay"),
        }
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self(Kind::Empty) } else { Self(Kind::Bytes(bytes)) }
    }
}

impl From<Vec<u8>> for RequestBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for RequestBody {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for RequestBody {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<()> for RequestBody {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// So that layers which work on bodies can read it.
impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Kind::Replay(make) = &self.0 {
            self.0 = Kind::Stream(make());
        }
        match &mut self.0 {
            Kind::Empty | Kind::Replay(_) => Poll::Ready(None),
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Bytes(_) | Kind::Replay(_) => false,
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.exact_len().map_or_else(
            || match &self.0 {
                Kind::Stream(body) => body.size_hint(),
                _ => SizeHint::default(),
            },
            SizeHint::with_exact,
        )
    }
}
