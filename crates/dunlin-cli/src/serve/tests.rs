//! A node as `dunlin serve` runs it, on ports of the kernel's choice.

use dunlin::{Raw, StartError};
use dunlin_client::Client;

use super::*;
use crate::config::Sources;

fn config(set: &[(&str, &str)]) -> Config {
    let set = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Sources { set, ..Sources::default() }.load().unwrap()
}

fn echo() -> App {
    App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
}

async fn started(config: &Config, app: App) -> Result<Node, StartError> {
    let Ready { app, cluster, .. } = apply(config, app).unwrap();
    match cluster {
        Some(cluster) => app.cluster(cluster).start().await,
        None => app.start().await,
    }
}

#[tokio::test]
async fn a_node_of_its_settings_serves_its_programs_services_and_limits_how_often_they_are_called() {
    let config = config(&[("clients.listen", "127.0.0.1:0"), ("clients.calls_per_second_max", "2")]);
    let node = started(&config, echo()).await.unwrap();
    let client = Client::connect(&format!("ws://{}", node.addrs()[0])).await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.request_raw("Echo.ping", "hi").await.unwrap(), "hi");
    }
    let refused = client.request_raw("Echo.ping", "hi").await.unwrap_err();
    assert!(matches!(&refused, dunlin_client::RequestError::Server(error) if error.code == 429), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_voter_alone_has_a_quorum_and_starts_again_from_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    // A port that is free now: nobody else asks the kernel for this one while the test runs.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, url) = (port.to_string(), format!("http://{port}"));
    let set = [
        ("cluster.listen", &*listen),
        ("cluster.voters.1", &*url),
        ("cluster.voter.id", "1"),
        ("cluster.voter.dir", dir),
        ("cluster.voter.tick", "10ms"),
    ];
    for _ in 0..2 {
        let config = config(&set);
        assert_eq!(problems(&config), []);
        let node = started(&config, echo()).await.unwrap();
        assert_eq!(node.voter().unwrap().state().leader, 1);
        node.stop().await;
    }
}
