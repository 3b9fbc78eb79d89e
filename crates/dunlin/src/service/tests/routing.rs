//! From a name to a handler, through extractors, and back.

use std::task::{Context, Poll};

use dunlin_wire::RouteDictionary;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::*;
use crate::{Json, Protobuf};

#[derive(Deserialize, Serialize, PartialEq, Debug)]
struct Say {
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Point {
    #[prost(int32, tag = "1")]
    x: i32,
}

#[tokio::test]
async fn a_handler_that_need_not_wait_is_done_at_the_first_poll() {
    let bench =
        Bench::new(|set| set.route("Echo.ping", |Raw(body): Raw| async move { Ok::<_, Error>(Raw(body)) }))
            .await;
    let reply = bench.call(CallKind::Request, "Echo.ping", "\u{1}x").now_or_never().unwrap().unwrap();
    assert_eq!((&reply.body()[..], reply.is_text()), (&b"\x01x"[..], false));
}

#[tokio::test]
async fn a_bytes_payload_is_handed_on_and_not_copied() {
    let bench =
        Bench::new(|set| set.route("Echo.ping", |Raw(body): Raw| async move { Ok::<_, Error>(Raw(body)) }))
            .await;
    let body = Bytes::from(vec![7; 100]);
    let entry = bench.services.router.lookup(b"Echo.ping").unwrap();
    let reply = bench.call_of(entry, CallKind::Request, body.clone()).await.unwrap();
    assert_eq!(reply.body().as_ptr(), body.as_ptr());
}

#[tokio::test]
async fn routes_are_found_by_their_exact_name_only() {
    let bench = Bench::new(|set| set.route("Echo.ping", || async { Ok::<_, Error>(1) })).await;
    assert!(bench.services.router.lookup(b"Echo.ping").is_some());
    for name in ["echo.ping", "Echo.ping ", "Echo", "ping", ""] {
        assert!(bench.services.router.lookup(name.as_bytes()).is_none(), "{name}");
    }
}

#[tokio::test]
async fn json_goes_in_and_out() {
    let bench =
        Bench::new(|set| set.route("Echo.say", async |Msg(say): Msg<Say>| -> Result<Say> { Ok(say) })).await;
    assert_eq!(bench.request("Echo.say", r#"{"text":"h\u00e9"}"#).await.unwrap(), r#"{"text":"hé"}"#);
    let error = bench.refused("Echo.say", r#"{"txt":"hi"}"#).await;
    assert_eq!(error.code(), Error::BAD_REQUEST);
    assert!(error.message().contains("missing field `text`"), "{error}");
}

#[tokio::test]
async fn what_a_client_sent_does_not_come_back_whole_in_an_error() {
    let bench = Bench::new(|set| set.route("A.b", async |Msg(_): Msg<u8>| -> Result<()> { Ok(()) })).await;
    let error = bench.refused("A.b", &format!("\"{}\"", "x".repeat(60_000))).await;
    assert!(error.message().len() < 300, "{}", error.message().len());
}

#[tokio::test]
async fn an_answer_without_content_is_an_empty_object_and_a_notify_asked_as_a_request_too() {
    let bench = Bench::new(|set| {
        set.route("A.request", async || -> Result<()> { Ok(()) });
        set.notify_route("A.notify", async || {});
    })
    .await;
    assert_eq!(bench.request("A.request", "").await.unwrap(), "{}");
    assert_eq!(bench.request("A.notify", "").await.unwrap(), "{}");
    bench.notify("A.notify", "").await.unwrap();
}

#[tokio::test]
async fn a_uid_is_asked_for_only_where_it_is_needed() {
    let bench = Bench::new(|set| {
        set.route("A.must", async |Uid(uid): Uid| -> Result<String> { Ok(uid.to_string()) });
        set.route("A.may", async |uid: Option<Uid>| -> Result<bool> { Ok(uid.is_some()) });
    })
    .await;
    assert_eq!(bench.refused("A.must", "").await.code(), Error::UNAUTHENTICATED);
    assert_eq!(bench.request("A.may", "").await.unwrap(), "false");
    bench.session.bind("ann").await.unwrap();
    assert_eq!(bench.request("A.must", "").await.unwrap(), r#""ann""#);
    assert_eq!(bench.request("A.may", "").await.unwrap(), "true");
}

#[tokio::test]
async fn eight_extractors_fit_a_closure() {
    type All = (Session, Option<Uid>, Result<Uid>, Route, CallKind, Groups, crate::Timers);
    async fn all(
        (session, none, refused, Route(route), kind, _, timers): All,
        Msg(number): Msg<u8>,
    ) -> Result<String> {
        assert!(none.is_none() && timers.count() == 0 && !session.is_closed());
        Ok(format!("{route} {kind:?} {} {number}", refused.unwrap_err().code()))
    }
    let bench = Bench::new(|set| {
        set.route(
            "A.all",
            |a: Session, b: Option<Uid>, c: Result<Uid>, d: Route, e: CallKind, f: Groups, g, h| {
                all((a, b, c, d, e, f, g), h)
            },
        );
    })
    .await;
    assert_eq!(bench.request("A.all", "5").await.unwrap(), r#""A.all Request 401 5""#);
}

#[tokio::test]
async fn an_extractor_may_fail_without_failing_the_call() {
    let bench = Bench::new(|set| {
        set.route("A.b", async |say: Result<Msg<Say>>| -> Result<String> {
            Ok(say.map_or_else(|error| error.code().to_string(), |Msg(say)| say.text))
        });
    })
    .await;
    assert_eq!(bench.request("A.b", "nonsense").await.unwrap(), r#""400""#);
    assert_eq!(bench.request("A.b", r#"{"text":"x"}"#).await.unwrap(), r#""x""#);
}

#[tokio::test]
async fn protobuf_messages_go_through_whatever_the_serializer_is() {
    for is_protobuf in [false, true] {
        let bench = Bench::new(|set| {
            if is_protobuf {
                set.serializer(Protobuf);
            }
            set.route("Map.move", async |Proto(point): Proto<Point>| -> Result<Proto<Point>> {
                Ok(Proto(Point { x: point.x + 1 }))
            });
            set.route("Map.stop", async || -> Result<()> { Ok(()) });
        })
        .await;
        assert_eq!(bench.request("Map.move", "\u{8}\u{4}").await.unwrap(), "\u{8}\u{5}");
        assert_eq!(bench.refused("Map.move", "\u{9}").await.code(), Error::BAD_REQUEST);
        let empty = if is_protobuf { "" } else { "{}" };
        assert_eq!(bench.request("Map.stop", "").await.unwrap(), empty);
    }
}

#[tokio::test]
async fn a_service_may_speak_another_format_than_its_application() {
    struct Admin;
    #[crate::service(serializer = Json)]
    impl Admin {
        #[request]
        async fn count(&self) -> Result<u32> {
            Ok(7)
        }
    }
    let bench = Bench::new(|set| {
        set.serializer(Protobuf);
        set.service(Admin);
    })
    .await;
    assert_eq!(bench.request("Admin.count", "").await.unwrap(), "7");
}

#[tokio::test]
async fn the_cause_of_an_internal_error_stays_with_the_server() {
    use crate::ResultExt as _;
    let bench = Bench::new(|set| {
        set.route("A.b", async || -> Result<u8> { "secret".parse::<u8>().or_internal() });
    })
    .await;
    let error = bench.refused("A.b", "").await;
    assert_eq!((error.code(), error.message()), (Error::INTERNAL, "internal error"));
    assert!(error.cause().is_some());
}

#[tokio::test]
async fn routes_nobody_serves_go_to_the_fallback_with_their_name() {
    let bench = Bench::new(|set| {
        set.fallback(|call: Call| -> CallFuture {
            Box::pin(async move { Ok(Reply::raw(call.route().to_owned())) })
        });
    })
    .await;
    let entry = bench.services.router.fallback("Far.away").unwrap();
    let reply = bench.call_of(&entry, CallKind::Request, Bytes::new()).await.unwrap();
    assert_eq!(&reply.body()[..], b"Far.away");
    assert!(Bench::new(|_| {}).await.services.router.fallback("Far.away").is_none());
}

#[tokio::test]
async fn a_fallback_that_panics_does_so_when_polled() {
    let bench = Bench::new(|set| set.fallback(|_: Call| -> CallFuture { panic!("on purpose") })).await;
    let entry = bench.services.router.fallback("Far.away").unwrap();
    let call = Call::new(bench.session.clone(), entry, CallKind::Request, Bytes::new());
    let future = RouteEntry::handle(call);
    assert!(contain("test", future).await.is_none());
}

#[tokio::test]
async fn dictionary_codes_lead_to_the_routes_that_are_served_here() {
    let bench = Bench::new(|set| {
        set.route("A.one", async || -> Result<u8> { Ok(1) });
        set.route("A.two", async || -> Result<u8> { Ok(2) });
    })
    .await;
    let pairs = [("A.one", 1), ("onPush", 3), ("A.two", 9)];
    let dictionary =
        RouteDictionary::from_pairs(pairs.map(|(route, code)| (route.to_owned(), code))).unwrap();
    let by_code = bench.services.router.resolve_dictionary(&dictionary);
    assert_eq!(by_code.get(9).unwrap().name().as_ref(), "A.two");
    for code in [0, 2, 3, 10, u16::MAX] {
        assert!(by_code.get(code).is_none(), "{code}");
    }
}

#[tokio::test]
async fn calls_of_two_shards_do_not_share_a_reference_count() {
    let bench = Bench::new(|set| set.route("A.b", async || -> Result<()> { Ok(()) })).await;
    let (one, two) = (bench.services.router.for_shard(), bench.services.router.for_shard());
    let (one, two) = (one.lookup(b"A.b").unwrap(), two.lookup(b"A.b").unwrap());
    assert!(!Arc::ptr_eq(one, two));
    assert_eq!(Arc::strong_count(one), 1);
}

#[tokio::test]
async fn a_route_answers_after_a_call_that_panicked_and_one_that_waits() {
    let doors = Arc::new(Semaphore::new(0));
    let bench = Bench::new(|set| {
        let doors = doors.clone();
        set.route("A.go", move |Raw(what): Raw| {
            assert_ne!(&what[..], b"begin", "on purpose");
            let doors = doors.clone();
            async move {
                assert_ne!(&what[..], b"go on", "on purpose");
                if &what[..] == b"wait" {
                    drop(doors.acquire().await);
                }
                Ok::<_, Error>(Raw(what))
            }
        });
    })
    .await;
    let router = &bench.services.router;
    let entry = router.lookup(b"A.go").unwrap();
    let mut starters = router.starters();
    let mut start = |what: &'static [u8]| {
        let body = Bytes::from_static(what);
        router.start(Call::new(bench.session.clone(), entry.clone(), CallKind::Request, body), &mut starters)
    };
    let done = |started| match started {
        Started::Done(Ok(reply)) => Reply::into_body(reply),
        other => panic!("not done: {other:?}"),
    };
    assert_eq!(done(start(b"one")), "one");
    assert!(matches!(start(b"begin"), Started::Panicked));
    assert_eq!(done(start(b"two")), "two");
    assert!(matches!(start(b"go on"), Started::Panicked));
    let (Started::Waits(first), Started::Waits(second)) = (start(b"wait"), start(b"wait")) else {
        panic!("nothing to wait for");
    };
    assert_eq!(done(start(b"three")), "three");
    doors.add_permits(1);
    assert_eq!(
        (first.await.unwrap().into_body(), second.await.unwrap().into_body()),
        ("wait".into(), "wait".into())
    );
}

#[tokio::test]
async fn the_future_of_a_call_is_dropped_before_its_answer_is_written() {
    struct Held {
        _value: Arc<()>,
    }
    impl Future for Held {
        type Output = Result<u8>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<u8>> {
            Poll::Ready(Ok(1))
        }
    }
    let value = Arc::new(());
    let held = value.clone();
    let bench = Bench::new(|set| set.route("A.held", move || Held { _value: held.clone() })).await;
    let router = &bench.services.router;
    let call = Call::new(
        bench.session.clone(),
        router.lookup(b"A.held").unwrap().clone(),
        CallKind::Request,
        Bytes::new(),
    );
    let before = Arc::strong_count(&value);
    let mut starters = router.starters();
    assert!(matches!(router.start(call, &mut starters), Started::Done(Ok(_))));
    assert_eq!(Arc::strong_count(&value), before);
}

#[tokio::test]
async fn routes_that_take_turns_are_each_found() {
    let bench = Bench::new(|set| {
        set.route("A.one", async || -> Result<u8> { Ok(1) });
        set.route("A.two", async || -> Result<u8> { Ok(2) });
    })
    .await;
    for (name, answer) in [("A.one", "1"), ("A.two", "2"), ("A.two", "2"), ("A.one", "1")] {
        assert!(bench.services.router.lookup(b"A.three").is_none());
        assert_eq!(bench.request(name, "").await.unwrap(), answer);
    }
}
