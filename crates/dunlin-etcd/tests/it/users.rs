//! Users of a cluster that wants to know who asks.

use dunlin_registry::store::KeyRange;
use dunlin_registry::{Consistency, Registry as _, RegistryError, RegistryExt as _};
use prost::Message;

use crate::members::Members;
use crate::servers::ask;

#[derive(Clone, PartialEq, Message)]
struct Names {
    /// The name of a user or a role.
    #[prost(string, tag = "1")]
    name: String,
    /// Its password or its role.
    #[prost(string, tag = "2")]
    second: String,
}

fn names(name: &str, second: &str) -> Names {
    Names { name: name.to_owned(), second: second.to_owned() }
}

/// A token is good for a second, so that one is over while the test looks.
const SHORT_TOKENS: &[&str] = &["--auth-token-ttl", "1"];

#[tokio::test]
async fn a_user_is_known_by_a_password_and_again_when_its_token_is_over() {
    let Some(members) = Members::of(1, SHORT_TOKENS).await else { return };
    let url = members.urls().remove(0);
    ask(&url, "/etcdserverpb.Auth/UserAdd", names("root", "secret")).await.unwrap();
    ask(&url, "/etcdserverpb.Auth/RoleAdd", names("root", "")).await.unwrap();
    ask(&url, "/etcdserverpb.Auth/UserGrantRole", names("root", "root")).await.unwrap();
    ask(&url, "/etcdserverpb.Auth/AuthEnable", names("", "")).await.unwrap();
    let nobody = members.registry().put("key", "1", 0).await;
    assert!(matches!(nobody, Err(RegistryError::Refused { .. })), "{nobody:?}");
    let wrong = members.registry().with_user("root", "guess").put("key", "1", 0).await;
    assert!(matches!(wrong, Err(RegistryError::Refused { .. })), "{wrong:?}");
    let registry = members.registry().with_user("root", "secret");
    assert!(!format!("{registry:?}").contains("secret"));
    let mut watch = registry.watch(KeyRange::all(), 0).await.unwrap();
    for n in 1..=3 {
        registry.put("key", n.to_string(), 0).await.unwrap();
        let entry = registry.get("key", Consistency::Linearizable).await.unwrap().unwrap();
        assert_eq!((entry.version, watch.next().await.unwrap().entry), (n, entry.clone()));
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
}
