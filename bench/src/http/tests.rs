//! Each client against the server of the wave.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::clients::{Client, Dunlin, Hyper, HyperUtil, Reqwest, Session};
use super::server::WaveServer;
use super::{CertificateFiles, Protocol, Target, wave};
use crate::kernel::Meter;
use crate::report::Report;

/// A server of its own, and the target that leads to it; with TLS if there is a certificate.
async fn serve(protocol: Protocol, files: Option<&CertificateFiles>, conns_max: usize) -> Target {
    let server = WaveServer::new(protocol, files, Duration::from_millis(1)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scheme = if files.is_some() { "https" } else { "http" };
    let target = format!("{scheme}://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(server.run(listener));
    Target { target, ca: files.map(|files| files.cert.clone()), protocol, conns_max }
}

/// Certificate and key in a folder of this test's own.
fn certificate(test: &str) -> CertificateFiles {
    let folder = std::env::temp_dir().join(format!("dunlin-bench-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files = CertificateFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    files.make().unwrap();
    files
}

async fn answers(client: impl Client) -> usize {
    let body = client.session().await.unwrap().get().await.unwrap();
    std::str::from_utf8(&body).unwrap().parse().unwrap()
}

async fn small_wave(client: impl Client) -> Report {
    wave::run(client, Meter::new(std::process::id()), wave::WavePlan { requests: 100 }).await.unwrap()
}

#[tokio::test]
async fn every_client_gets_its_answer_with_and_without_tls() {
    let files = certificate("answers");
    for (protocol, files) in
        [(Protocol::H1, None), (Protocol::H1, Some(&files)), (Protocol::H2, Some(&files))]
    {
        let target = serve(protocol, files, 0).await;
        assert_eq!(answers(Dunlin::new(&target).unwrap()).await, 1, "{protocol:?}");
        assert_eq!(answers(Arc::new(Hyper::new(&target).unwrap())).await, 2, "{protocol:?}");
        assert_eq!(answers(HyperUtil::new(&target).unwrap()).await, 3, "{protocol:?}");
        assert_eq!(answers(Reqwest::new(&target).unwrap()).await, 4, "{protocol:?}");
    }
    std::fs::remove_dir_all(files.cert.parent().unwrap()).unwrap();
}

// The figures of a process come from `/proc`, so only Linux has them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_wave_of_ours_opens_the_connections_that_it_may_and_no_other() {
    let target = serve(Protocol::H1, None, 4).await;
    let report = small_wave(Dunlin::new(&target).unwrap()).await;
    assert_eq!((report.connections, report.lost, report.wrong), (Some(4), Some(0), Some(0)));
    let target = serve(Protocol::H1, None, 4).await;
    let report = small_wave(HyperUtil::new(&target).unwrap()).await;
    assert_eq!((report.ops, report.lost, report.wrong), (Some(100), Some(0), Some(0)));
}
