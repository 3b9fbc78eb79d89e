//! Routes that only nodes may call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dunlin::{App, CallError, Cluster, RouteOptions, State, TestCluster, service};
use serde::de::IgnoredAny;

/// How often the inner routes ran.
type Ran = Arc<AtomicU32>;

struct Vault;

#[service(client)]
impl Vault {
    #[request(internal)]
    async fn open(&self, ran: State<Ran>) -> dunlin::Result<u32> {
        Ok(ran.fetch_add(1, Ordering::Relaxed))
    }

    #[notify(internal, concurrent)]
    async fn spill(&self, ran: State<Ran>) {
        ran.fetch_add(1, Ordering::Relaxed);
    }

    #[request]
    async fn look(&self, cluster: Cluster) -> dunlin::Result<u32> {
        VaultClient::open(&cluster).await
    }
}

fn vault(ran: &Ran) -> App {
    let options = RouteOptions::default().internal();
    App::new().service(Vault).state(ran.clone()).route_with(
        "Vault.count",
        options,
        |ran: State<Ran>| async move { Ok(ran.load(Ordering::Relaxed)) },
    )
}

async fn is_refused(client: &dunlin::LocalClient, route: &str) -> bool {
    let answer = client.request::<IgnoredAny>(route, ()).await;
    matches!(answer, Err(CallError::Server { code: 404, .. }))
}

#[tokio::test(start_paused = true)]
async fn a_client_reaches_no_internal_route_neither_at_its_gate_nor_behind_it() {
    let (mut cluster, ran) = (TestCluster::new(), Ran::default());
    cluster.start("vault", vault(&ran)).await.unwrap();
    cluster.start("gate", App::new()).await.unwrap();
    for node in ["gate", "vault"] {
        let client = cluster.connect(node).await.unwrap();
        for route in ["Vault.open", "Vault.spill", "Vault.count"] {
            assert!(is_refused(&client, route).await, "{route} at {node}");
            client.notify(route, ()).await.unwrap();
        }
        // An answer to a later request says that what came before was handled.
        assert!(is_refused(&client, "Vault.nothing").await);
    }
    assert_eq!(ran.load(Ordering::Relaxed), 0, "an internal route ran for a client");
    assert!(cluster.node("gate").stats().unknown_routes + cluster.node("vault").stats().unknown_routes >= 12);
}

#[tokio::test(start_paused = true)]
async fn nodes_call_internal_routes_and_handlers_do_so_for_clients() {
    let (mut cluster, ran) = (TestCluster::new(), Ran::default());
    cluster.start("vault", vault(&ran)).await.unwrap();
    cluster.start("gate", App::new()).await.unwrap();
    for node in ["gate", "vault"] {
        let caller = cluster.node(node).cluster();
        let before = ran.load(Ordering::Relaxed);
        assert_eq!(VaultClient::open(&caller).await.unwrap(), before);
        assert_eq!(caller.call::<u32>("Vault.count", &()).await.unwrap(), before + 1);
        let client = cluster.connect(node).await.unwrap();
        assert_eq!(client.request::<u32>("Vault.look", ()).await.unwrap(), before + 1);
    }
    let routes = cluster.node("vault").routes();
    let is_internal = |name: &str| routes.iter().find(|route| &*route.name == name).unwrap().is_internal;
    assert!(is_internal("Vault.open") && is_internal("Vault.count") && !is_internal("Vault.look"));
}
