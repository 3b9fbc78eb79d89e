//! What a caller hears when members do not answer: none of these tests needs a server.

use std::time::{Duration, Instant};

use dunlin_etcd::{EtcdError, EtcdRegistry};
use dunlin_registry::store::{KeyRange, LeaseGrant, LeaseRevoke, Operation, StoreError};
use dunlin_registry::{Consistency, Registry as _, RegistryError, RegistryExt as _};
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_millis(600);

/// A member that takes connections and says nothing.
async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn a_command_that_a_member_may_have_done_is_not_said_to_be_refused_and_one_that_nobody_got_is() {
    let (_listening, url) = silent().await;
    let registry = EtcdRegistry::new([url.as_str()]).unwrap().with_timeout(TIMEOUT);
    let begin = Instant::now();
    assert_eq!(registry.put("key", "", 0).await, Err(RegistryError::TimedOut));
    let read = registry.get("key", Consistency::Linearizable).await;
    assert_eq!(read, Err(RegistryError::TimedOut));
    assert_eq!(registry.watch(KeyRange::all(), 0).await.unwrap_err(), RegistryError::TimedOut);
    assert!(begin.elapsed() < TIMEOUT * 5, "each takes as long as it may and no longer");
    let (listening, url) = silent().await;
    drop(listening);
    let registry = EtcdRegistry::new([url.as_str()]).unwrap().with_timeout(TIMEOUT);
    assert_eq!(registry.put("key", "", 0).await, Err(RegistryError::NoLeader));
}

#[tokio::test]
async fn what_no_registry_takes_is_refused_before_anybody_is_asked() {
    let registry = EtcdRegistry::new(["http://127.0.0.1:9"]).unwrap().with_timeout(TIMEOUT);
    let begin = Instant::now();
    assert_eq!(registry.put("", "x", 0).await, Err(StoreError::KeyEmpty.into()));
    let short = registry.grant_lease(Duration::from_millis(10)).await;
    assert_eq!(short, Err(StoreError::LeaseTtl { ttl_ms: 10 }.into()));
    let high = Operation::LeaseGrant(LeaseGrant { lease: 1 << 63, ttl_ms: 5_000 });
    assert!(matches!(registry.execute(high).await, Err(RegistryError::Refused { .. })));
    let unless_renewed = Operation::LeaseRevoke(LeaseRevoke { lease: 1, if_renewed_at: Some(1) });
    assert!(matches!(registry.execute(unless_renewed).await, Err(RegistryError::Refused { .. })));
    assert!(begin.elapsed() < TIMEOUT);
    assert!(matches!(EtcdRegistry::new([]), Err(EtcdError::Nobody)));
    assert!(matches!(EtcdRegistry::new(["no url"]), Err(EtcdError::Url { .. })));
    assert!(matches!(registry.with_prefix(""), Err(EtcdError::PrefixEmpty)));
}
