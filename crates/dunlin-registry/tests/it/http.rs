//! The routes over HTTP.

use dunlin_http::{RequestBody, Transport};
use dunlin_registry::http;
use http_body_util::BodyExt;
use tokio::net::TcpListener;

use crate::group::{Group, until};

/// A member's routes, and somebody who asks.
struct Routes {
    client: Transport,
    base: String,
}

impl Routes {
    async fn of(group: &Group, id: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(http::serve(group.registry(id), listener, std::future::pending()));
        Self { client: Transport::default(), base }
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<RequestBody>) -> (u16, String) {
        let request = ::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        let response = self.client.round_trip(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn what_is_put_is_got_from_any_member_at_once() {
    let group = Group::of(3).await;
    let (one, two) = (Routes::of(&group, 1).await, Routes::of(&group, 2).await);
    assert_eq!(one.ask("PUT", "/a%20key/x", "value").await, (204, String::new()));
    assert_eq!(two.ask("GET", "/a%20key/x", "").await, (200, "value".into()));
    assert_eq!(two.ask("GET", "/other", "").await.0, 404);
    until(async || (two.ask("GET", "/a%20key/x?stale", "").await.0 == 200).then_some(())).await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_a_status_that_says_who_is_to_blame() {
    let group = Group::of(3).await;
    let routes = Routes::of(&group, group.leader().await).await;
    assert_eq!(routes.ask("PUT", "/", "value").await.0, 400, "no key");
    assert_eq!(routes.ask("PUT", "/key", vec![0; 1024 * 1024 + 1]).await.0, 413);
    assert_eq!(routes.ask("PUT", &format!("/{}", "x".repeat(5000)), "").await.0, 413);
    assert_eq!(routes.ask("POST", "/name", "http://127.0.0.1:1").await.0, 400, "no id");
    assert_eq!(routes.ask("POST", "/4", "nonsense").await.0, 400, "no URL");
    assert_eq!(routes.ask("DELETE", "/9", "").await.0, 409, "nobody");
    let request = ::http::Request::builder().method("PATCH").uri(format!("{}/key", routes.base));
    let response = routes.client.round_trip(request.body(RequestBody::empty()).unwrap()).await.unwrap();
    let allowed = response.headers().get_all("allow").iter().map(|method| method.to_str().unwrap());
    assert!(allowed.eq(["PUT", "GET", "POST", "DELETE"]));
    assert_eq!(response.status(), 405);
}

#[tokio::test]
async fn members_come_and_go_through_any_member() {
    let group = Group::of(3).await;
    let leader = group.leader().await;
    let follower = group.others(leader)[0];
    for (asked, id) in [(leader, 4), (follower, 5)] {
        let routes = Routes::of(&group, asked).await;
        assert_eq!(
            routes.ask("POST", &format!("/0x{id:x}"), "http://127.0.0.1:1").await,
            (204, String::new())
        );
        assert_eq!(group.registry(asked).members().len(), 4);
        assert_eq!(routes.ask("DELETE", &format!("/{id}"), "").await, (204, String::new()));
        assert_eq!(group.registry(asked).members().len(), 3);
        let again = routes.ask("POST", &format!("/{id}"), "http://127.0.0.1:1").await;
        assert_eq!(again.0, 409, "it never returns: {}", again.1);
        assert_eq!(routes.ask("DELETE", "/9", "").await.0, 409, "nobody");
    }
}

#[tokio::test]
async fn without_a_quorum_a_put_is_not_said_to_be_done() {
    let mut group = Group::of(3).await;
    let routes = Routes::of(&group, 1).await;
    group.kill(2).await;
    group.kill(3).await;
    let (status, text) = routes.ask("PUT", "/key", "value").await;
    assert!(matches!(status, 503 | 504), "{status} {text}");
}
