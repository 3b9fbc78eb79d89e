//! The default dial over real sockets of loopback: a hyper server, a Unix socket, and nginx where it is installed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dunlin_http::dial::DialContext;
use dunlin_http::trace::RequestTrace;
use dunlin_http::{CloseCause, ErrorKind, RequestBody, Transport};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::support::{fetch, get, post, read, total};
use crate::tracing::Told;

/// Answers each request with the peer's address and the length of its body.
async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, peer: String) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let peer = peer.clone();
        async move {
            let len = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(format!("{peer} {len}")))))
        }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await.ok();
}

/// A hyper server on a port of the kernel's choice, and how many connections it took.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = accepted.clone();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, peer.to_string()));
        }
    });
    (addr, accepted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequential_requests_use_one_connection_and_parallel_ones_no_more_than_the_limit() {
    let (addr, accepted) = server().await;
    let url = format!("http://{addr}/");
    let transport = Transport::builder().max_conns_per_host(8).max_idle_conns_per_host(8).build();
    for _ in 0..300 {
        fetch(&transport, &url).await.unwrap();
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (transport, url) = (transport.clone(), url.clone());
            tokio::spawn(async move {
                for _ in 0..50 {
                    fetch(&transport, &url).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(accepted.load(Ordering::SeqCst) <= 8, "{accepted:?}");
    assert_eq!((total(&transport).active, total(&transport).retries), (0, 0));
}

#[tokio::test]
async fn a_connection_knows_both_its_addresses_and_a_trace_the_look_up() {
    let (addr, _) = server().await;
    let transport = Transport::default();
    let told = Told::default();
    let mut request = get(&format!("http://localhost:{}/", addr.port()));
    request.extensions_mut().insert(RequestTrace::new(Arc::new(told.clone())));
    let response = transport.round_trip(request).await.unwrap();
    let conn = response.body().conn().unwrap().clone();
    let body = read(response).await.unwrap();
    assert_eq!(body, format!("{} 0", conn.local_addr.unwrap()));
    assert_eq!(conn.remote_addr, Some(addr));
    let told = told.0.all();
    assert_eq!(told[1..5], ["connect localhost", "dns localhost", "dns done true", "connected true"]);
}

#[tokio::test]
async fn a_big_body_goes_up_and_a_port_where_nobody_listens_is_a_dial_that_failed() {
    let (addr, _) = server().await;
    let transport = Transport::default();
    let response = transport.round_trip(post(&format!("http://{addr}/"), vec![7; 8 << 20])).await.unwrap();
    assert!(read(response).await.unwrap().ends_with(" 8388608"));

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = fetch(&transport, &format!("http://{closed}/")).await.unwrap_err();
    assert_eq!((error.kind(), error.has_sent_bytes()), (ErrorKind::Dial, false));
}

/// A directory that is gone with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("dunlin-http-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // Nothing can be done about what cannot be removed.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test]
async fn a_unix_socket_is_a_dial_like_any_other() {
    let dir = Dir::new("unix");
    let path = dir.0.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, "unix".to_owned()));
        }
    });
    let dial = move |_: DialContext| UnixStream::connect(path.clone());
    let transport = Transport::builder().dial_context(dial).build();
    for _ in 0..2 {
        let response = transport.round_trip(post("http://anything/", "body")).await.unwrap();
        assert_eq!(response.body().conn().unwrap().remote_addr, None);
        assert_eq!(read(response).await.unwrap(), "unix 4");
    }
    assert_eq!(total(&transport).opened, 1);
}

const NGINX: &str = "/usr/sbin/nginx";

/// nginx in the foreground of a shell that ends it when its input ends: however this process goes, nginx goes too.
struct Nginx {
    shell: Child,
    addr: SocketAddr,
    _dir: Dir,
}

impl Nginx {
    #[expect(clippy::print_stdout, reason = "a test that was not run says so")]
    async fn start(name: &str) -> Option<Self> {
        if !std::path::Path::new(NGINX).exists() {
            println!("not run: no nginx");
            return None;
        }
        let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let dir = Dir::new(name);
        let prefix = dir.0.display();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|each| format!("{each}_temp_path {prefix}/{each};"))
            .join(" ");
        let config = format!(
            "daemon off; master_process off; pid {prefix}/pid; error_log {prefix}/error.log;
             events {{ worker_connections 64; }}
             http {{ access_log off; keepalive_timeout 1s; client_max_body_size 64m; {paths}
             server {{ listen {addr}; root {prefix};
             location / {{ return 200 \"$connection\"; }} location /big {{ }} }} }}"
        );
        std::fs::write(dir.0.join("nginx.conf"), config).unwrap();
        std::fs::write(dir.0.join("big"), vec![b'x'; 8 << 20]).unwrap();
        let script =
            format!("{NGINX} -p {prefix} -c {prefix}/nginx.conf & cat > /dev/null; kill -9 $!; wait $!");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let nginx = Self { shell: command.spawn().unwrap(), addr, _dir: dir };
        let up = async {
            while TcpStream::connect(addr).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(Duration::from_secs(20), up).await.is_err() {
            panic!("nginx does not listen on {addr}");
        }
        Some(nginx)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.addr)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().ok();
    }
}

#[tokio::test]
async fn nginx_serves_many_requests_over_one_connection_with_big_bodies_both_ways() {
    let Some(nginx) = Nginx::start("bodies").await else { return };
    let transport = Transport::default();
    let number = fetch(&transport, &nginx.url("")).await.unwrap();
    for _ in 0..50 {
        assert_eq!(fetch(&transport, &nginx.url("")).await.unwrap(), number);
    }
    assert_eq!(fetch(&transport, &nginx.url("big")).await.unwrap().len(), 8 << 20);
    assert_eq!((total(&transport).opened, total(&transport).idle), (1, 1));
    // It answers before it has read all of this, so whether the connection is kept is a matter of speed.
    let body = RequestBody::stream(Full::new(Bytes::from(vec![b'x'; 8 << 20])));
    let response = transport.round_trip(post(&nginx.url(""), body)).await.unwrap();
    assert_eq!(read(response).await.unwrap(), number);
}

#[tokio::test]
async fn the_end_of_a_connection_that_nginx_kept_for_long_enough_is_noticed() {
    let Some(nginx) = Nginx::start("timeout").await else { return };
    let transport = Transport::default();
    let number = fetch(&transport, &nginx.url("")).await.unwrap();
    assert_eq!(total(&transport).idle, 1);
    let gone = async {
        while total(&transport).idle > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), gone).await.unwrap();
    assert_eq!(total(&transport).closed.count(CloseCause::Peer), 1);
    let response = transport.round_trip(post(&nginx.url(""), "body")).await.unwrap();
    assert_ne!(read(response).await.unwrap(), number);
    assert_eq!(total(&transport).retries, 0);
}
