//! The port over real sockets: who is answered, what is told, what can be done.

#![expect(clippy::unwrap_used, reason = "a test that meets what it rules out fails")]

use std::sync::Arc;
use std::time::Duration;

use dunlin::service::MeterLayer;
use dunlin::{App, Groups, Node, Raw, Session, TestCluster, TlsFiles};
use dunlin_admin::{Admin, AdminConfig, AdminError, Token};
use dunlin_client::Client;
use dunlin_http::{RequestBody, Transport};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Whoever asks.
struct Asker {
    admin: Admin,
    transport: Transport,
    token: Option<&'static str>,
}

impl Asker {
    async fn new(config: AdminConfig) -> Self {
        let admin = Admin::start(config).await.unwrap();
        Self { admin, transport: Transport::builder().build(), token: None }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> (u16, String) {
        let mut request =
            axum::http::Request::builder().method(method).uri(format!("http://{}{path}", self.admin.addr()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { RequestBody::empty() } else { RequestBody::from(body.to_string()) };
        let response = self.transport.round_trip(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &[], Value::Null).await
    }

    async fn act(&self, action: &str, about: Value) -> (u16, String) {
        let headers = [("content-type", "application/json"), ("x-dunlin-change", "1")];
        self.ask("POST", &format!("/admin/api/do/{action}"), &headers, about).await
    }

    async fn state(&self) -> Value {
        serde_json::from_str(&self.get("/admin/api/state").await.1).unwrap()
    }

    /// The state as soon as it is so.
    async fn until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                let state = self.state().await;
                if is_so(&state) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap()
    }
}

fn loopback() -> AdminConfig {
    AdminConfig::new("127.0.0.1:0")
}

async fn gate(name: &str) -> Arc<Node> {
    let app = App::new()
        .layer(MeterLayer::new(name))
        .route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) })
        .route("Login.as", |session: Session, dunlin::Msg(uid): dunlin::Msg<String>| async move {
            session.bind(uid).await?;
            Ok(())
        })
        .route(
            "Hall.enter",
            |session: Session, groups: Groups, dunlin::Msg(hall): dunlin::Msg<String>| async move {
                Ok(groups.group(&hall).add(&session)?)
            },
        )
        .listen("127.0.0.1:0");
    Arc::new(app.start().await.unwrap())
}

async fn client(node: &Node) -> Client {
    Client::connect(&format!("ws://{}", node.addrs()[0])).await.unwrap()
}

fn metric(state: &Value, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let is_it = |sample: &&Value| {
        sample["name"] == name && labels.iter().all(|(key, value)| sample["labels"][*key] == *value)
    };
    state["metrics"].as_array()?.iter().find(is_it)?["value"].as_f64()
}

#[tokio::test]
async fn strangers_could_ask_so_another_address_than_loopback_needs_a_token() {
    let error = Admin::start(AdminConfig::new("0.0.0.0:0")).await.unwrap_err();
    assert!(matches!(error, AdminError::Open { .. }), "{error}");
    let admin = Admin::start(AdminConfig::new("0.0.0.0:0").token(Token::new(TOKEN).unwrap())).await.unwrap();
    admin.stop().await;
}

#[tokio::test]
async fn with_a_token_all_but_the_page_itself_and_probes_need_it() {
    let mut asker = Asker::new(loopback().token(Token::new(TOKEN).unwrap())).await;
    let guarded =
        ["/metrics", "/admin/api/state", "/admin/api/here", "/admin/api/events", "/admin/api/sessions"];
    for path in guarded {
        assert_eq!(asker.get(path).await.0, 401, "{path}");
    }
    assert_eq!(asker.act("drain", json!({ "node": "a" })).await.0, 401);
    for path in ["/healthz", "/admin/", "/admin/admin.js"] {
        assert_eq!(asker.get(path).await.0, 200, "{path}");
    }
    asker.token = Some(TOKEN);
    for path in ["/metrics", "/admin/api/state"] {
        assert_eq!(asker.get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn over_tls_the_port_speaks_nothing_else_and_takes_a_certificate_that_was_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("admin.pem"), folder.path().join("admin.key"));
    let renew = || {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, issued.cert.pem()).unwrap();
        std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
        issued.cert.der().clone()
    };
    let first = renew();
    let admin = Admin::start(loopback().tls(TlsFiles::new(&certificate, &key))).await.unwrap();
    let url = format!("https://localhost:{}/healthz", admin.addr().port());
    let ask = async |trusted: &rustls_pki_types::CertificateDer<'static>, url: &str| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.unwrap().with_root_certificates(roots).with_no_client_auth();
        let transport = Transport::builder().tls(Arc::new(config)).build();
        let request = axum::http::Request::get(url).body(RequestBody::empty()).unwrap();
        transport.round_trip(request).await.map(|response| response.status().as_u16())
    };
    assert_eq!(ask(&first, &url).await.unwrap(), 200);
    assert!(ask(&first, &url.replace("https", "http")).await.is_err(), "plain text is not answered");
    let second = renew();
    assert!(ask(&first, &url).await.is_err(), "the old certificate is not shown any more");
    assert_eq!(ask(&second, &url).await.unwrap(), 200);
    admin.stop().await;
}

#[tokio::test]
async fn a_page_of_somebody_elses_can_neither_read_nor_change_anything() {
    let asker = Asker::new(loopback()).await;
    let elsewhere = [("host", "evil.example:7070")];
    assert_eq!(asker.ask("GET", "/admin/api/state", &elsewhere, Value::Null).await.0, 403);
    let simple = [("content-type", "text/plain")];
    assert_eq!(asker.ask("POST", "/admin/api/do/drain", &simple, json!({})).await.0, 403);
    assert_eq!(asker.get("/admin/api/do/drain").await.0, 405, "nothing is changed by a GET");
}

#[tokio::test]
async fn a_node_is_ready_when_its_shards_answer_and_not_before_or_after() {
    let asker = Asker::new(loopback()).await;
    assert_eq!(asker.get("/healthz").await.0, 200);
    assert_eq!(asker.get("/readyz").await, (503, "no node has started\n".to_owned()));
    let node = gate("ready").await;
    asker.admin.watch("ready", &node);
    assert_eq!(asker.get("/readyz").await, (200, "ready\n".to_owned()));
    node.stop().await;
    assert_eq!(asker.get("/readyz").await, (503, "the node is stopping\n".to_owned()));
}

#[tokio::test]
async fn what_the_page_shows_is_what_a_scraper_is_told() {
    let asker = Asker::new(loopback()).await;
    let node = gate("counted").await;
    asker.admin.watch("counted", &node);
    let client = client(&node).await;
    for _ in 0..7 {
        client.request_raw("Echo.ping", "hi").await.unwrap();
    }
    for made_up in 0..50 {
        client.request_raw(&format!("Made.up{made_up}"), "hi").await.unwrap_err();
    }
    let of = [("node", "counted")];
    let state = asker.until(|state| metric(state, "dunlin_sessions", &of) == Some(1.0)).await;
    let route = [("node", "counted"), ("route", "Echo.ping"), ("outcome", "ok")];
    assert_eq!(metric(&state, "dunlin_calls_total", &route), Some(7.0));
    assert_eq!(metric(&state, "dunlin_unknown_routes_total", &of), Some(50.0));
    assert_eq!(metric(&state, "dunlin_call_seconds_count", &route[..2]), Some(7.0));
    let text = asker.get("/metrics").await.1;
    assert!(
        text.contains("dunlin_calls_total{node=\"counted\",route=\"Echo.ping\",outcome=\"ok\"} 7"),
        "{text}"
    );
    assert!(!text.contains("Made."), "clients make no labels up");
}

#[tokio::test]
async fn the_largest_groups_are_measured_by_their_places_and_shown_with_their_names() {
    let asker = Asker::new(loopback()).await;
    let node = gate("grouped").await;
    asker.admin.watch("grouped", &node);
    let clients = [client(&node).await, client(&node).await, client(&node).await];
    for (client, hall) in clients.iter().zip(["large", "small", "large"]) {
        client.request::<_, Value>("Hall.enter", &hall).await.unwrap();
    }
    let members = |state: &Value, place: &str| {
        metric(state, "dunlin_group_members", &[("node", "grouped"), ("place", place)])
    };
    let state =
        asker.until(|state| members(state, "1") == Some(2.0) && members(state, "2") == Some(1.0)).await;
    let of_node = |node: &&Value| node["name"] == "grouped";
    let shown = state["nodes"].as_array().unwrap().iter().find(of_node).unwrap()["look"]["groups"].clone();
    assert_eq!(shown, json!([{ "name": "large", "members": 2 }, { "name": "small", "members": 1 }]));
    let text = asker.get("/metrics").await.1;
    assert!(!text.contains("large") && !text.contains("small"), "whoever names groups makes no labels up");
    drop(clients);
    asker.until(|state| members(state, "1") == Some(0.0) && members(state, "2") == Some(0.0)).await;
}

#[tokio::test]
async fn a_user_is_found_by_a_part_of_the_uid_and_kicked_and_that_is_told() {
    let asker = Asker::new(loopback()).await;
    let node = gate("kicks").await;
    asker.admin.watch("kicks", &node);
    let (ann, bob) = (client(&node).await, client(&node).await);
    ann.request::<_, Value>("Login.as", &"ann&co").await.unwrap();
    bob.request::<_, Value>("Login.as", &"bob").await.unwrap();
    let found = asker.get("/admin/api/sessions?uid=n%26c").await.1;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((found[0]["uid"].as_str(), found.as_array().unwrap().len()), (Some("ann&co"), 1));
    let (status, said) =
        asker.act("kick", json!({ "node": "kicks", "uid": "ann&co", "reason": "enough" })).await;
    assert_eq!(status, 200, "{said}");
    tokio::time::timeout(PATIENCE, ann.closed()).await.unwrap();
    assert_eq!(asker.act("kick", json!({ "uid": "nobody" })).await.0, 404);
    let events = asker.state().await["events"].to_string();
    assert!(events.contains("kick: `ann&co` was disconnected (1)"), "{events}");
    assert!(events.contains("kick: refused: `nobody` has no session here"), "{events}");
    bob.request_raw("Echo.ping", "still here").await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_seen_from_one_of_its_nodes_and_a_node_that_dies_is_told() {
    let asker = Asker::new(loopback()).await;
    let mut cluster = TestCluster::new();
    let echo = || App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) });
    cluster.start("back", echo()).await.unwrap();
    cluster.start("gate", App::new()).await.unwrap();
    asker.admin.watch("gate", cluster.node("gate"));
    let state = asker.until(|state| state["nodes"][1]["look"]["links"][0]["is_up"] == true).await;
    assert_eq!(state["nodes"][0]["name"], "back");
    assert_eq!(state["nodes"][0]["silence"], "it has no admin port");
    assert_eq!(state["quorum"], "unknown");
    // The link is to be looked at once before it is lost.
    asker.until(|state| state["events"].to_string().contains("gate is linked with back")).await;
    cluster.kill("back");
    asker.until(|state| state["events"].to_string().contains("gate lost its link to back")).await;
}

#[tokio::test]
async fn the_stream_of_states_ends_when_the_port_stops() {
    let asker = Asker::new(loopback()).await;
    let request = axum::http::Request::get(format!("http://{}/admin/api/events", asker.admin.addr()));
    let response = asker.transport.round_trip(request.body(RequestBody::empty()).unwrap()).await.unwrap();
    let mut body = response.into_body();
    let first = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b"event: state\ndata: {"));
    asker.admin.stop().await;
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    tokio::time::timeout(PATIENCE, rest).await.unwrap();
}

#[tokio::test]
async fn every_file_that_the_page_names_is_served_under_a_policy_that_lets_nothing_else_in() {
    let asker = Asker::new(loopback()).await;
    let page = asker.get("/admin/").await.1;
    let named = page.split(['"']).filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let mut count = 0;
    for name in named {
        count += 1;
        let (status, file) = asker.get(&format!("/admin/{name}")).await;
        assert_eq!(status, 200, "{name}");
        for import in file.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert_eq!(asker.get(&format!("/admin/{import}")).await.0, 200, "{import}");
        }
    }
    assert!(count >= 2, "{page}");
    assert!(!page.contains("style=") && !page.contains("<script>"), "the policy would refuse it");
    assert_eq!(asker.get("/admin/nothing.js").await.0, 404);
}
