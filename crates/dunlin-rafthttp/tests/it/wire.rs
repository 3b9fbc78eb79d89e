//! A wire between two members that a test can cut and stall.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes on to one address.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Grows with each cut.
    cuts: watch::Sender<usize>,
    is_stalled: watch::Sender<bool>,
    refuses: AtomicBool,
    accepted: AtomicUsize,
}

impl Wire {
    /// A wire to this URL.
    pub(crate) async fn to(url: &str) -> Self {
        let target = url.split("://").nth(1).unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            cuts: watch::channel(0).0,
            is_stalled: watch::channel(false).0,
            refuses: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if accepting.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                accepting.accepted.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                tokio::spawn(pass(accepting.clone(), near, far));
            }
        });
        Self { url, shared }
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Passes nothing on, and ends nothing, until it is called with `false`.
    pub(crate) fn stall(&self, is_stalled: bool) {
        self.shared.is_stalled.send_replace(is_stalled);
    }

    /// Takes no new connection from now on.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }
}

async fn pass(shared: Arc<Shared>, near: TcpStream, far: TcpStream) {
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = copy(&shared, near_in, far_out) => {}
        () = copy(&shared, far_in, near_out) => {}
        _ = cuts.changed() => {}
    }
}

async fn copy(
    shared: &Shared,
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
) {
    let mut stalled = shared.is_stalled.subscribe();
    let mut bytes = vec![0; 64 * 1024];
    loop {
        if stalled.wait_for(|is_stalled| !is_stalled).await.is_err() {
            return;
        }
        match from.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(len) => {
                if stalled.wait_for(|is_stalled| !is_stalled).await.is_err()
                    || to.write_all(&bytes[..len]).await.is_err()
                {
                    return;
                }
            }
        }
    }
}
