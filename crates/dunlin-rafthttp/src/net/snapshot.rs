//! Snapshots with their database: sent as a stream of known length, received into a file that is whole before Raft
//! hears of it. What is sent goes as fast as the throttle of the node lets it, which all its snapshots share.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use dunlin_http::{BoxError, RequestBody};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::headers::{self, PeerRefusal, SNAPSHOT_PATH};
use super::link::Link;
use super::pipeline::PostError;
use super::reader::{Chain, beginning};
use crate::codec::{SnapshotBody, encode_snapshot_head};
use crate::core::{Channel, Throttle};
use crate::limits::SNAPSHOT_CHUNK_LEN;
use crate::raftpb::Message;

/// A snapshot to send: its message, and a database of a known length behind it.
pub struct Snapshot {
    /// The message, of type `Snap`.
    pub message: Message,
    /// The bytes of the database. They are read as fast as the peer takes them and the node may send
    /// ([`Builder::snapshot_bytes_per_sec_max`](crate::Builder::snapshot_bytes_per_sec_max)).
    pub database: Pin<Box<dyn AsyncRead + Send>>,
    /// How many there are. A database that has more or fewer is not sent: the peer sees a broken transfer.
    pub database_len: u64,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("index", &self.message.snapshot.metadata.index)
            .field("database_len", &self.database_len)
            .finish_non_exhaustive()
    }
}

/// The body of the post: the head, then the database in chunks; an error instead of an end when the length is wrong.
struct SnapshotUpload {
    head: Option<Bytes>,
    database: Pin<Box<dyn AsyncRead + Send>>,
    length: SnapshotBody,
    buffer: Vec<u8>,
    throttle: Option<Arc<Mutex<Throttle>>>,
    /// What was read and may go when the pause is over.
    held: Option<Bytes>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl SnapshotUpload {
    fn new(
        head: Bytes,
        database: Pin<Box<dyn AsyncRead + Send>>,
        database_len: u64,
        throttle: Option<Arc<Mutex<Throttle>>>,
    ) -> Self {
        let burst_len = throttle.as_ref().map(|throttle| lock(throttle).burst_len());
        let burst_len = burst_len.and_then(|len| usize::try_from(len).ok());
        let piece_len = burst_len.map_or(SNAPSHOT_CHUNK_LEN, |len| len.min(SNAPSHOT_CHUNK_LEN));
        Self {
            head: Some(head),
            database,
            length: SnapshotBody::new(database_len),
            buffer: vec![0; piece_len],
            throttle,
            held: None,
            pause: None,
        }
    }

    /// How long a piece has to wait.
    fn pause(&self, len: usize) -> Option<Pin<Box<Sleep>>> {
        let now = Instant::now();
        let wait = lock(self.throttle.as_ref()?).handle_piece(now.into_std(), len as u64);
        (!wait.is_zero()).then(|| Box::pin(sleep_until(now + wait)))
    }
}

fn lock(throttle: &Mutex<Throttle>) -> MutexGuard<'_, Throttle> {
    throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body for SnapshotUpload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(head) = this.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if this.held.is_none() {
            let mut buffer = ReadBuf::new(&mut this.buffer);
            if let Err(error) = ready!(this.database.as_mut().poll_read(cx, &mut buffer)) {
                return Poll::Ready(Some(Err(error.into())));
            }
            let read = buffer.filled();
            let checked =
                if read.is_empty() { this.length.handle_end() } else { this.length.handle_bytes(read) };
            match checked {
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
                Ok(()) if read.is_empty() => return Poll::Ready(None),
                Ok(()) => this.held = Some(Bytes::copy_from_slice(read)),
            }
            this.pause = this.pause(this.held.as_ref().map_or(0, Bytes::len));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        Poll::Ready(this.held.take().map(|piece| Ok(Frame::data(piece))))
    }
}

/// Sends a snapshot and tells Raft what became of it. Returns whether it arrived.
pub(crate) async fn send(link: Arc<Link>, snapshot: Snapshot) -> bool {
    let Snapshot { message, database, database_len } = snapshot;
    let stop = link.stop.clone();
    let begin = Instant::now();
    link.traffic.snapshots_sent.begin();
    let posting = post(&link, &message, database, database_len);
    let result = stop.run_until_cancelled(posting).await.unwrap_or(Err(SendSnapshotError::Stopped));
    link.traffic.snapshots_sent.end(begin.elapsed(), result.is_ok());
    match result {
        Ok(()) => {
            link.posted(Channel::Snapshot, &message, Ok(()));
            true
        }
        Err(error) => {
            if let SendSnapshotError::Post(PostError::Refused(PeerRefusal::Removed)) = error {
                link.node.removed(link.id);
            }
            let reason = Chain(&error).to_string();
            tracing::warn!(peer = %link.id, index = message.snapshot.metadata.index, reason, "snapshot was not taken");
            link.posted(Channel::Snapshot, &message, Err(&reason));
            false
        }
    }
}

/// Why a snapshot was not sent.
#[derive(Debug, thiserror::Error)]
enum SendSnapshotError {
    #[error("its message cannot be written")]
    Encode(#[from] crate::codec::EncodeError),
    #[error(transparent)]
    Post(#[from] PostError),
    #[error("the transport was stopped")]
    Stopped,
}

async fn post(
    link: &Link,
    message: &Message,
    database: Pin<Box<dyn AsyncRead + Send>>,
    database_len: u64,
) -> Result<(), SendSnapshotError> {
    let mut head = BytesMut::new();
    encode_snapshot_head(message, &link.node.config.limits, &mut head)?;
    let throttle = link.node.snapshot_throttle.clone();
    let upload = SnapshotUpload::new(head.freeze(), database, database_len, throttle);
    let url = link.url();
    let target = (&url, SNAPSHOT_PATH);
    let body = RequestBody::stream(upload);
    let request = headers::post(&link.node, target, "application/octet-stream", body);
    // There is no limit to the whole: a big snapshot takes its time. Each write has one, and so has the answer.
    let result = async {
        let response = link.clients.snapshots.round_trip(request).await.map_err(PostError::Http)?;
        let status = response.status();
        let text = beginning(response.into_body()).await;
        headers::post_result(status, &text).map_err(PostError::Refused)
    };
    let result = result.await;
    if result.is_err() {
        link.url_failed(&url);
    }
    Ok(result?)
}

/// A database on its way into a file. Dropped before [`Incoming::finish`], it leaves nothing behind.
pub(crate) struct Incoming {
    file: tokio::fs::File,
    unfinished: Unfinished,
    path: PathBuf,
}

struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // A file that cannot be removed is found by its ending at the next start.
            std::fs::remove_file(path).ok();
        }
    }
}

impl Incoming {
    /// Begins a file for the snapshot of this index in `dir`.
    pub(crate) async fn begin(dir: &Path, index: u64) -> io::Result<Self> {
        tokio::fs::create_dir_all(dir).await?;
        let path = dir.join(file_name(index));
        let unfinished = dir.join(format!("{}.{:016x}.tmp", file_name(index), fastrand::u64(..)));
        let mut options = tokio::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).open(&unfinished).await?;
        Ok(Self { file, unfinished: Unfinished(Some(unfinished)), path })
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// Makes the file durable under its name.
    pub(crate) async fn finish(mut self) -> io::Result<PathBuf> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        if let Some(unfinished) = &self.unfinished.0 {
            tokio::fs::rename(unfinished, &self.path).await?;
        }
        self.unfinished.0 = None;
        if let Some(dir) = self.path.parent() {
            // A name is durable when its directory is.
            tokio::fs::File::open(dir).await?.sync_all().await?;
        }
        Ok(self.path.clone())
    }
}

/// The file of the database of a snapshot, named as etcd names it.
#[must_use]
pub fn file_name(index: u64) -> String {
    format!("{index:016x}.snap.db")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use http_body_util::BodyExt;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn throttle(bytes_per_sec: u64) -> Option<Arc<Mutex<Throttle>>> {
        NonZeroU64::new(bytes_per_sec).map(|limit| Arc::new(Mutex::new(Throttle::new(limit))))
    }

    /// How long a database of this length takes to be taken.
    async fn time_of(len: u64, throttle: Option<Arc<Mutex<Throttle>>>) -> Duration {
        let begin = Instant::now();
        let database = Box::pin(tokio::io::repeat(7).take(len));
        let upload = SnapshotUpload::new(Bytes::from_static(b"head"), database, len, throttle);
        let body = upload.collect().await.unwrap().to_bytes();
        assert_eq!(body.len() as u64, len + 4);
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_takes_the_time_of_its_length_but_for_a_burst() {
        let (rate, len) = (1 << 20, 10 << 20);
        let took = time_of(len, throttle(rate)).await;
        let (least, most) = (Duration::from_secs_f64(10.0 - 1.0 / 16.0), Duration::from_secs_f64(10.01));
        assert!((least..most).contains(&took), "{took:?}");
        assert!(time_of(len, None).await < Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn snapshots_to_several_peers_share_one_rate_and_each_gets_its_part() {
        let throttle = throttle(1 << 20);
        let (one, two) = tokio::join!(time_of(4 << 20, throttle.clone()), time_of(4 << 20, throttle));
        for took in [one, two] {
            assert!((Duration::from_millis(7_800)..Duration::from_millis(8_010)).contains(&took), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_very_slow_snapshot_comes_in_pieces_that_never_stand_still_for_long() {
        let (len, database) = (2_000, Box::pin(tokio::io::repeat(7).take(2_000)));
        let mut upload = SnapshotUpload::new(Bytes::new(), database, len, throttle(1_000));
        let mut last = Instant::now();
        while let Some(piece) = upload.frame().await {
            piece.unwrap();
            assert!(last.elapsed() <= Duration::from_millis(70), "{:?}", last.elapsed());
            last = Instant::now();
        }
    }
}
