//! Reads one of a peer's streams, and dials it again whenever it ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dunlin_http::ResponseBody;
use http::Uri;
use http_body_util::BodyExt;

use super::headers::{self, PeerRefusal};
use super::link::Link;
use crate::codec::{MessageDecoder, MessageStreamError, MsgAppDecoder, MsgAppError, StreamEnds, StreamEvent};
use crate::core::{Channel, Redial, StreamKind};
use crate::limits::REFUSAL_LEN_MAX;

/// Why a stream is not, or no longer, read.
#[derive(Debug, thiserror::Error)]
enum StreamEnd {
    #[error("the peer could not be asked for its stream")]
    Dial(#[source] dunlin_http::Error),
    #[error("the peer refuses its stream")]
    Refused(#[source] PeerRefusal),
    #[error("the stream broke")]
    Broken(#[source] dunlin_http::Error),
    #[error("the message stream is not one")]
    Message(#[from] MessageStreamError),
    #[error("the msgapp stream is not one")]
    MsgApp(#[from] MsgAppError),
    /// The peer ended it, as it does when we open it a second time or when it stops.
    #[error("the peer ended the stream")]
    Ended,
}

/// Reads until the peer is stopped.
pub(crate) async fn run(link: Arc<Link>, kind: StreamKind) {
    let mut redial = Redial::new(link.node.config.redial_pause_min, link.node.config.redial_pause_max);
    let stop = link.stop.clone();
    let reading = async {
        loop {
            let url = link.url();
            let end = read_once(&link, kind, &url, &mut redial).await;
            note(&link, kind, &url, &end);
            tokio::time::sleep(redial.handle_failure(fastrand::f64())).await;
        }
    };
    stop.run_until_cancelled(reading).await;
}

/// Tells the status of the peer why its stream is not read.
fn note(link: &Link, kind: StreamKind, url: &Uri, end: &StreamEnd) {
    let channel = Channel::Reader(kind);
    let reason = Chain(end).to_string();
    match end {
        StreamEnd::Ended => link.stopped_reading(kind),
        StreamEnd::Refused(PeerRefusal::UnsupportedStream(_)) => link.url_failed(url),
        _ => {
            link.url_failed(url);
            link.reading(kind, Err(&reason));
        }
    }
    if let StreamEnd::Refused(PeerRefusal::Removed) = end {
        link.node.removed(link.id);
    }
    tracing::debug!(peer = %link.id, %channel, %url, reason, "stream is dialed again");
}

async fn read_once(link: &Arc<Link>, kind: StreamKind, url: &Uri, redial: &mut Redial) -> StreamEnd {
    match open(link, kind, url).await {
        Ok(body) => {
            redial.handle_success();
            link.reading(kind, Ok(()));
            read_all(link, kind, body).await
        }
        Err(end) => end,
    }
}

async fn open(link: &Link, kind: StreamKind, url: &Uri) -> Result<ResponseBody, StreamEnd> {
    let request = headers::stream(&link.node, url, kind, link.id);
    let response = link.clients.streams.round_trip(request).await.map_err(StreamEnd::Dial)?;
    let (head, body) = response.into_parts();
    if head.status == http::StatusCode::OK {
        let result = headers::stream_result((&link.node, kind), head.status, &head.headers, &[]);
        result.map_err(StreamEnd::Refused)?;
        return Ok(body);
    }
    let text = beginning(body).await;
    match headers::stream_result((&link.node, kind), head.status, &head.headers, &text) {
        Err(refusal) => Err(StreamEnd::Refused(refusal)),
        // A success without a body to read.
        Ok(()) => Err(StreamEnd::Ended),
    }
}

/// The first bytes of a refusal's body: enough to know it by.
pub(crate) async fn beginning(mut body: ResponseBody) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < REFUSAL_LEN_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        let data = frame.into_data().unwrap_or_default();
        text.extend_from_slice(data.get(..REFUSAL_LEN_MAX - text.len()).unwrap_or(&data));
    }
    text
}

enum Decoder {
    MsgApp(MsgAppDecoder),
    Message(MessageDecoder),
}

impl Decoder {
    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<StreamEvent>, StreamEnd> {
        Ok(match self {
            Self::MsgApp(decoder) => decoder.decode(input)?,
            Self::Message(decoder) => decoder.decode(input)?,
        })
    }
}

async fn read_all(link: &Link, kind: StreamKind, mut body: ResponseBody) -> StreamEnd {
    let limits = link.node.config.limits;
    let mut decoder = match kind {
        StreamKind::MsgApp => {
            let ends = StreamEnds { from: link.id.0, to: link.node.config.id.0 };
            Decoder::MsgApp(MsgAppDecoder::new(ends, limits))
        }
        StreamKind::Message => Decoder::Message(MessageDecoder::new(limits)),
    };
    loop {
        let bytes = match next(&mut body).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return StreamEnd::Ended,
            Err(error) => return StreamEnd::Broken(error),
        };
        link.traffic.received(bytes.len());
        let now = Instant::now();
        let mut input = &bytes[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(StreamEvent::Message(message))) => {
                    link.node.received(now, link, message);
                }
                Ok(Some(StreamEvent::LinkHeartbeat)) => {}
                Ok(None) => break,
                Err(end) => return end,
            }
        }
    }
}

async fn next(body: &mut ResponseBody) -> Result<Option<Bytes>, dunlin_http::Error> {
    loop {
        match std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(body), cx)).await {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// An error with what is behind it, in one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
