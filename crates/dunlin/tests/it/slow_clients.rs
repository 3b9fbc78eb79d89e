//! A client that does not read costs a bounded number of bytes and delays nobody.

use std::time::Duration;

use dunlin::{App, CloseReason, PushError, Pushed, Raw, SendQueue, Session, WhenFull};
use tokio::sync::mpsc;

/// An application that hands its sessions to the test.
fn observed(queue: SendQueue) -> (App, mpsc::UnboundedReceiver<Session>) {
    let (sessions, observed) = mpsc::unbounded_channel();
    let app = App::new()
        .route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
        .on_opened(move |session| drop(sessions.send(session.clone())))
        .configure(|gate| gate.send_queue = queue);
    (app, observed)
}

fn queue(when_full: WhenFull) -> SendQueue {
    SendQueue { bytes_max: 100_000, packets_max: 1000, when_full }
}

/// Pushes 1,000-byte bodies until the first that is not simply queued, giving the shard time in between.
async fn push_until_full(session: &Session) -> (usize, Result<Pushed, PushError>) {
    for count in 0..10_000 {
        match session.push_raw("onBlob", vec![b'x'; 1000]) {
            Ok(Pushed::Queued) => tokio::task::yield_now().await,
            other => return (count, other),
        }
    }
    panic!("10,000 pushes of 1,000 bytes were queued for a client that does not read");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_disconnected_at_the_bound_and_others_go_on() {
    let (app, mut sessions) = observed(queue(WhenFull::Disconnect));
    let stalled = app.connect().await.unwrap();
    let session = sessions.recv().await.unwrap();
    let other = app.connect().await.unwrap();
    let (closed, mut is_closed) = mpsc::unbounded_channel();
    session.on_close(move |_, reason| drop(closed.send(reason.clone()))).unwrap();

    let (count, outcome) = push_until_full(&session).await;
    assert_eq!(outcome, Err(PushError::QueueFull { disconnecting: true }));
    // The bound, what the pipe and the client's own buffer of 1,024 pushes hold, and one write of the shard.
    assert!(count < 1024 + 64 + 100 + 300, "{count}");
    assert_eq!(is_closed.recv().await, Some(CloseReason::TooSlow));
    assert_eq!(session.push_raw("onBlob", "x"), Err(PushError::Closed));
    assert_eq!(other.request_raw("Echo.ping", "on").await.unwrap(), "on");
    assert_eq!(app.local().await.unwrap().stats().slow_clients, 1);
    drop(stalled);
}

#[tokio::test(start_paused = true)]
async fn drop_newest_tells_the_sender_and_keeps_the_client() {
    let (app, mut sessions) = observed(queue(WhenFull::DropNewest));
    let client = app.connect().await.unwrap();
    let session = sessions.recv().await.unwrap();
    let (_, outcome) = push_until_full(&session).await;
    assert_eq!(outcome, Err(PushError::QueueFull { disconnecting: false }));
    assert!(!session.is_closed());
    while client.try_push().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.request_raw("Echo.ping", "on").await.unwrap(), "on");
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_makes_room_and_counts_what_it_dropped() {
    let (app, mut sessions) = observed(queue(WhenFull::DropOldest));
    let _client = app.connect().await.unwrap();
    let session = sessions.recv().await.unwrap();
    let (_, outcome) = push_until_full(&session).await;
    assert_eq!(outcome, Ok(Pushed::Displaced { dropped: 1 }));
    assert_eq!(app.local().await.unwrap().stats().pushes_dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_is_given_up_after_the_write_timeout() {
    let (app, mut sessions) = observed(SendQueue { bytes_max: 1 << 20, ..queue(WhenFull::Disconnect) });
    let client = app.connect().await.unwrap();
    let session = sessions.recv().await.unwrap();
    let (closed, mut is_closed) = mpsc::unbounded_channel();
    session.on_close(move |_, reason| drop(closed.send(reason.clone()))).unwrap();
    // More than the client buffers, less than the queue's bound.
    for _ in 0..900 {
        session.push_raw("onBlob", vec![b'x'; 1500]).unwrap();
        tokio::task::yield_now().await;
    }
    for _ in 0..400 {
        session.push_raw("onBlob", vec![b'x'; 1500]).unwrap();
    }
    let start = tokio::time::Instant::now();
    assert_eq!(is_closed.recv().await, Some(CloseReason::TooSlow));
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(12)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    drop(client);
}
