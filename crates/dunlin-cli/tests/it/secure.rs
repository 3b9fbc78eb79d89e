//! Certificates of `dunlin certs` in use: a node and a gate that have them, and the commands that ask both.

use std::path::Path;
use std::process::{Command, Output};

use dunlin::{App, ClusterConfig, Listen, Node, Raw, TlsConfig, TlsFiles, VoterConfig};

/// Runs the command beside the node, which needs this thread.
async fn dunlin(args: Vec<String>, env: Vec<(&'static str, String)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
    command.args(args).env_clear().envs(env);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn told(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// A node that is its own cluster, and whose gate wants TLS as well.
async fn node(dir: &Path) -> (Node, String) {
    let file = |name: &str| dir.join(name);
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("https://{addr}");
    let cluster = ClusterConfig::new("alone", addr)
        .voters([(1, url.as_str())])
        .voter(VoterConfig::new(1, file("voter")))
        .tls(TlsConfig::new(file("ca.pem"), file("node.pem"), file("node.key")));
    let listen = Listen::tls("127.0.0.1:0", TlsFiles::new(file("gate.pem"), file("gate.key")));
    let app = App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) });
    (app.cluster(cluster).listen(listen).start().await.unwrap(), url)
}

#[tokio::test]
async fn a_cluster_and_a_gate_with_these_certificates_answer_who_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let made = dunlin(vec!["certs".to_owned(), path("")], Vec::new()).await;
    assert!(told(&made).contains("[cluster.tls]"), "{made:?}");
    let (node, url) = node(dir.path()).await;

    let mut members = words(&format!("members --json --at {url}"));
    for (flag, file) in
        [("--tls-authority", "ca.pem"), ("--tls-certificate", "node.pem"), ("--tls-key", "node.key")]
    {
        members.extend([flag.to_owned(), path(file)]);
    }
    let listed = dunlin(members, Vec::new()).await;
    assert!(told(&listed).contains("\"role\":\"leader\""), "{listed:?}");

    let env = vec![
        ("DUNLIN_AT", url.clone()),
        ("DUNLIN_TLS_AUTHORITY", path("ca.pem")),
        ("DUNLIN_TLS_CERTIFICATE", path("node.pem")),
        ("DUNLIN_TLS_KEY", path("node.key")),
    ];
    dunlin(words("kv put motd hello"), env.clone()).await;
    assert_eq!(told(&dunlin(words("kv get motd"), env).await), "hello\n");

    let mut asking = words(&format!("client wss://localhost:{} request Echo.ping 7", node.addrs()[0].port()));
    let stranger = dunlin(asking.clone(), Vec::new()).await;
    assert_eq!((stranger.status.code(), told(&stranger)), (Some(5), ""));
    asking.extend(["--tls-authority".to_owned(), path("ca.pem")]);
    assert_eq!(told(&dunlin(asking, Vec::new()).await), "7\n");
    node.stop().await;
}
