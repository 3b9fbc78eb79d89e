//! What a server of ours has under load, alone or behind a gate: an echo, a broadcast, and who it is.

use bytes::Bytes;
use dunlin::{App, Error, Groups, Raw, Session};

/// Length of every broadcast body: the sequence number, then padding.
const BODY_LEN: usize = 32;
const GROUP: &str = "bench";

/// Adds `Bench.Echo`, `Bench.Join`, `Bench.Burst` and `Bench.Who`, all on raw bytes.
#[must_use]
pub fn with_handlers(app: App) -> App {
    app.route("Bench.Echo", |Raw(body): Raw| async move { Ok::<_, Error>(Raw(body)) })
        .route("Bench.Join", |session: Session, groups: Groups| async move {
            groups.group(GROUP).add(&session)?;
            Ok::<_, Error>(Raw(Bytes::from_static(b"ok")))
        })
        .route("Bench.Burst", |groups: Groups, Raw(body): Raw| async move {
            burst(&groups, &body)?;
            Ok::<_, Error>(Raw(Bytes::from_static(b"ok")))
        })
        .route("Bench.Who", || async { Ok::<_, Error>(Raw(std::process::id().to_string().into())) })
}

/// Broadcasts `count` messages back to back, numbered from `first`; losses are counted by the receivers.
fn burst(groups: &Groups, body: &[u8]) -> Result<(), Error> {
    let (Some(count), Some(first)) =
        (body.first_chunk::<4>(), body.get(4..).and_then(<[u8]>::first_chunk::<8>))
    else {
        return Err(Error::bad_request("a count and a first number are needed"));
    };
    let (count, first) = (u32::from_le_bytes(*count), u64::from_le_bytes(*first));
    let group = groups.group(GROUP);
    for sequence in first..first.saturating_add(u64::from(count)) {
        let mut message = [0; BODY_LEN];
        message[..8].copy_from_slice(&sequence.to_le_bytes());
        group.broadcast_raw("onBench", message.to_vec())?;
    }
    Ok(())
}
