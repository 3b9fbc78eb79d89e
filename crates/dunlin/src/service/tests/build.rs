//! What an application refuses to start with.

use serde::Deserialize;

use super::*;
use crate::{Protobuf, State, Timers};

fn refused(fill: impl FnOnce(&mut ServiceSet)) -> BuildError {
    let mut set = ServiceSet::new();
    fill(&mut set);
    let by_list = set.infos().unwrap_err();
    assert_eq!(set.build(Groups::new()).unwrap_err(), by_list);
    by_list
}

#[derive(Deserialize)]
struct Join;

struct Database;

#[test]
fn two_handlers_of_one_route_are_refused() {
    let error = refused(|set| {
        set.route("A.b", async || -> Result<u8> { Ok(1) });
        set.notify_route("A.b", async || {});
    });
    assert_eq!(error, BuildError::DuplicateRoute { route: "A.b".into() });
}

#[test]
fn a_missing_state_is_named_with_the_route_that_takes_it() {
    let error = refused(|set| set.route("A.b", async |_: State<Database>| -> Result<()> { Ok(()) }));
    let text = error.to_string();
    assert!(text.contains("`A.b`") && text.contains("Database"), "{text}");
}

#[test]
fn a_missing_state_of_a_hook_is_named_with_its_service() {
    struct Idle;
    #[crate::service]
    impl Idle {
        #[init]
        async fn open(&self, _: State<Database>, _: Timers) {}
    }
    let error = refused(|set| set.service_as("Storage", Idle));
    assert!(matches!(error, BuildError::MissingState { user, .. } if user == "Storage"));
}

#[test]
fn types_that_are_no_protobuf_messages_are_refused_under_protobuf() {
    for is_payload in [true, false] {
        let error = refused(|set| {
            set.serializer(Protobuf);
            if is_payload {
                set.route("A.b", async |_: Msg<Join>| -> Result<()> { Ok(()) });
            } else {
                set.route("A.b", async || -> Result<u32> { Ok(1) });
            }
        });
        assert!(error.to_string().contains("`Proto<T>`"), "{error}");
    }
}

#[test]
fn routes_that_fit_no_message_are_refused() {
    for name in [String::new(), "x".repeat(256)] {
        let error = refused(|set| set.route(name.clone(), async || -> Result<()> { Ok(()) }));
        assert_eq!(error, BuildError::RouteLength { route: name });
    }
}

#[tokio::test]
async fn a_state_is_found_by_its_type_and_the_last_one_of_a_type_stands() {
    let bench = Bench::new(|set| {
        set.state(1_u32);
        set.state("text");
        set.state(2_u32);
        set.route("A.b", async |State(number): State<u32>, text: State<&'static str>| -> Result<String> {
            Ok(format!("{number} {}", *text))
        });
    })
    .await;
    assert_eq!(bench.request("A.b", "").await.unwrap(), r#""2 text""#);
}

#[test]
fn tools_are_told_what_is_known_of_a_route() {
    let mut set = ServiceSet::new();
    let options = RouteOptions::default().concurrent().docs("Counts.");
    set.route_with("B.count", options, async |_: Msg<Join>| -> Result<u32> { Ok(1) });
    set.notify_route_with("A.b", RouteOptions::default().internal(), async |_: Raw| {});
    let infos = set.infos().unwrap();
    let infos: Vec<&RouteInfo> = infos.iter().map(|info| &**info).collect();
    assert_eq!(
        serde_json::to_value(&infos).unwrap(),
        serde_json::json!([
            { "name": "A.b", "kind": "notify",
              "is_concurrent": false, "is_serial": false, "is_idempotent": false, "is_internal": true,
              "payload_type": "[u8]", "reply_type": null, "docs": "" },
            { "name": "B.count", "kind": "request",
              "is_concurrent": true, "is_serial": false, "is_idempotent": false, "is_internal": false,
              "payload_type": "dunlin::service::tests::build::Join", "reply_type": "u32", "docs": "Counts." },
        ])
    );
}
