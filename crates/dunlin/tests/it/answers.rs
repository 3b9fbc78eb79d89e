//! Every request gets exactly one answer: a value, a typed error, or a timeout.

use std::time::Duration;

use dunlin::{App, CallError, Error, Msg, Raw, Result, Session};
use serde_json::{Value, json};

use crate::support::echo;

fn code(error: &CallError) -> u32 {
    match error {
        CallError::Server { code, .. } => *code,
        other => panic!("not an answer of the server: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_echo_comes_back_as_it_went() {
    let app = echo();
    let client = app.connect().await.unwrap();
    assert_eq!(client.request_raw("Echo.ping", "hello").await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_route_is_answered_with_not_found() {
    let app = echo();
    let client = app.connect().await.unwrap();
    let error = client.request_raw("No.such", "").await.unwrap_err();
    assert_eq!(code(&error), Error::NOT_FOUND);
    assert_eq!(client.request_raw("Echo.ping", "on").await.unwrap(), "on", "the connection goes on");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_read_is_answered_with_bad_request() {
    let app = App::new().route("Sum.add", |Msg(pair): Msg<(i64, i64)>| async move { Ok(pair.0 + pair.1) });
    let client = app.connect().await.unwrap();
    let error = client.request_raw("Sum.add", "not json").await.unwrap_err();
    assert_eq!(code(&error), Error::BAD_REQUEST);
    assert_eq!(client.request::<i64>("Sum.add", (1, 2)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_error_arrives_with_code_message_and_details() {
    let app = App::new().route("Fail.now", || async {
        Err::<(), _>(Error::new(1001, "the table is full").with_details(json!({ "seats": 4 })))
    });
    let client = app.connect().await.unwrap();
    let error = client.request::<Value>("Fail.now", ()).await.unwrap_err();
    let expected = CallError::Server {
        code: 1001,
        message: "the table is full".to_owned(),
        details: Some(json!({ "seats": 4 })),
    };
    assert_eq!(error, expected);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_is_answered_with_internal_and_harms_nobody_else() {
    let app = echo().route("Bad.panic", |_session: Session| async move {
        if true {
            panic!("on purpose");
        }
        Ok(())
    });
    let (one, two) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    let error = one.request::<Value>("Bad.panic", ()).await.unwrap_err();
    assert_eq!(code(&error), Error::INTERNAL);
    assert_eq!(one.request_raw("Echo.ping", "1").await.unwrap(), "1");
    assert_eq!(two.request_raw("Echo.ping", "2").await.unwrap(), "2");
    assert_eq!(app.local().await.unwrap().stats().panics, 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_returns_is_answered_with_a_timeout() {
    let app = echo()
        .route("Bad.sleep", || async {
            std::future::pending::<()>().await;
            Ok(())
        })
        .configure(|gate| gate.request_timeout = Duration::from_secs(3));
    let client = app.connect().await.unwrap();
    let error = client.request::<Value>("Bad.sleep", ()).await.unwrap_err();
    assert_eq!(code(&error), Error::TIMEOUT);
    assert_eq!(client.request_raw("Echo.ping", "after").await.unwrap(), "after");
}

#[tokio::test(start_paused = true)]
async fn a_notify_route_called_as_a_request_is_answered_all_the_same() {
    let app = App::new().notify_route("Log.line", |Raw(_): Raw| async {});
    let client = app.connect().await.unwrap();
    client.request::<Value>("Log.line", "x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_of_a_thousand_mixed_requests_has_exactly_one_answer() {
    let app = echo()
        .route_with("Slow.echo", dunlin::RouteOptions::default().concurrent(), |Raw(body): Raw| async move {
            tokio::time::sleep(Duration::from_millis(u64::from(body[0]))).await;
            Ok(Raw(body))
        })
        .route("Bad.fail", || async { Err::<(), _>(Error::forbidden("no")) });
    let client = app.connect().await.unwrap();
    let routes = ["Echo.ping", "Slow.echo", "Bad.fail", "No.such"];
    let mut outcomes = Vec::new();
    for round in 0..20_u8 {
        let calls = (0..50_u8).map(|i| {
            let route = routes[usize::from(i) % routes.len()];
            client.request_raw(route, vec![i.wrapping_mul(7).wrapping_add(round), i])
        });
        outcomes.extend(futures_util::future::join_all(calls).await);
    }
    let (ok, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((ok.len(), failed.len()), (20 * 26, 20 * 24));
    let stats = app.local().await.unwrap().stats();
    assert_eq!((stats.messages_in, stats.answers_out), (1000, 1000));
}

#[tokio::test(start_paused = true)]
async fn an_answer_longer_than_a_packet_may_be_becomes_an_error() {
    let app = App::new()
        .route("Big.body", || async { Ok(Raw(vec![0; 2000].into())) })
        .configure(|gate| gate.packet_body_out_max = 1000);
    let client = app.connect().await.unwrap();
    let error = client.request_raw("Big.body", "").await.unwrap_err();
    assert_eq!(code(&error), Error::INTERNAL);
}

#[tokio::test(start_paused = true)]
async fn a_kick_from_inside_a_handler_comes_after_its_answer() {
    let app = App::new().route("Bye.now", |session: Session| async move {
        session.kick("enough")?;
        Ok("answered")
    });
    let client = app.connect().await.unwrap();
    assert_eq!(client.request::<String>("Bye.now", ()).await.unwrap(), "answered");
    assert_eq!(client.closed().await, dunlin::LocalEnd::Kicked { reason: "enough".to_owned() });
}
