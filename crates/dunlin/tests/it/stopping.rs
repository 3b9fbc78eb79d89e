//! Stopping: once, in order, in time, and without losing what was started.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dunlin::{App, CallError, Event, LocalEnd, Result, Session, service};
use dunlin_wire::PacketKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Journal, Wire, echo, eventually, serve};

struct Slow(Journal);

#[service]
impl Slow {
    #[before_shutdown]
    async fn before_shutdown(&self) -> Result<()> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.note("told");
        Ok(())
    }

    #[shutdown]
    async fn shutdown(&self) -> Result<()> {
        self.0.note("shut down");
        Ok(())
    }

    #[request]
    async fn work(&self) -> Result<&'static str> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        self.0.note("worked");
        Ok("done")
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_waits_for_the_first_and_changes_nothing() {
    let journal = Journal::default();
    let app = App::new().service(Slow(journal.clone()));
    let client = app.connect().await.unwrap();
    let node = app.local().await.unwrap();
    let start = Instant::now();
    let stop_later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.stop().await
    };
    let (answer, first, second) =
        tokio::join!(client.request::<String>("Slow.work", ()), stop_later, async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            node.stop().await
        });
    assert_eq!(answer.unwrap(), "done");
    assert!(first.is_clean && second.is_clean);
    assert_eq!(journal.entries(), ["told", "worked", "shut down"]);
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(node.stop().await.is_clean, "a third one finds all done");
    assert_eq!(journal.entries().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_was_dropped_half_way_is_taken_up_by_the_next() {
    let journal = Journal::default();
    let app = App::new().service(Slow(journal.clone()));
    let _client = app.connect().await.unwrap();
    let node = app.local().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(500), node.stop()).await.is_err());
    assert!(node.stop().await.is_clean);
    assert_eq!(journal.entries().last().unwrap(), "shut down");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cut_a_request_short_says_that_it_was_not_clean() {
    let journal = Journal::default();
    let app = App::new()
        .service(Slow(journal.clone()))
        .configure(|gate| gate.stop_timeout = Duration::from_secs(2));
    let client = app.connect().await.unwrap();
    let node = app.local().await.unwrap();
    let (answer, stopped) = tokio::join!(client.request::<String>("Slow.work", ()), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.stop().await
    });
    assert_eq!(answer.unwrap_err(), CallError::Closed);
    assert!(!stopped.is_clean);
    assert_eq!(journal.entries(), ["told", "shut down"], "services say goodbye all the same");
}

#[derive(Serialize, Deserialize, Event)]
#[event("onNews")]
struct News {
    text: String,
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_while_services_are_told_of_the_stop_still_arrives() {
    struct Herald;

    #[service]
    impl Herald {
        #[request]
        async fn hear(&self, session: Session, groups: dunlin::Groups) -> Result<()> {
            groups.group("all").add(&session)?;
            session.set(groups);
            Ok(())
        }
    }
    let app = App::new().service(Herald);
    let client = app.connect().await.unwrap();
    client.request::<Value>("Herald.hear", ()).await.unwrap();
    let node = app.local().await.unwrap();
    let delivery =
        node.groups().group("all").broadcast(&News { text: "back in a minute".to_owned() }).unwrap();
    assert_eq!(delivery.queued, 1);
    // In the same turn of the shard: nothing is awaited in between.
    let (stopped, news) = tokio::join!(node.stop(), client.expect::<News>());
    assert!(stopped.is_clean);
    assert_eq!(news.unwrap().text, "back in a minute");
    assert_eq!(client.closed().await, LocalEnd::Closed);
}

#[tokio::test(start_paused = true)]
async fn counts_only_grow_even_over_a_stop() {
    let app = echo();
    let client = app.connect().await.unwrap();
    client.request_raw("Echo.ping", "x").await.unwrap();
    let node = app.local().await.unwrap();
    node.stop().await;
    let stats = node.stats();
    assert_eq!((stats.connections_opened, stats.connections_closed), (1, 1));
    assert_eq!((stats.messages_in, stats.answers_out), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn times_too_long_for_the_clock_mean_never() {
    let app = echo().configure(|gate| {
        gate.start_timeout = Duration::MAX;
        gate.stop_timeout = Duration::MAX;
        gate.request_timeout = Duration::MAX;
        gate.handshake_timeout = Duration::MAX;
        gate.write_timeout = Duration::MAX;
        gate.linger = Duration::MAX;
        gate.heartbeat_interval = Duration::MAX;
    });
    let client = app.connect().await.unwrap();
    assert_eq!(client.request_raw("Echo.ping", "x").await.unwrap(), "x");
    assert!(app.local().await.unwrap().stop().await.is_clean);
}

#[tokio::test]
async fn a_stop_under_load_answers_every_request_that_was_started() {
    let (started, finished) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begin, end) = (started.clone(), finished.clone());
    let app = App::new().route("Work.hard", move || {
        let (begin, end) = (begin.clone(), end.clone());
        async move {
            begin.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            end.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let (node, addr) = serve(app).await;
    let mut loads = Vec::new();
    for _ in 0..50 {
        loads.push(tokio::spawn(async move {
            let mut wire = Wire::ws(addr).await;
            wire.shake_hands("{}").await;
            let (mut answers, mut id) = (0, 0);
            // Two at a time, until the server says goodbye.
            loop {
                for _ in 0..2 {
                    id = (id + 1) % 128;
                    let mut message = vec![0, id, 9];
                    message.extend_from_slice(b"Work.hard{}");
                    wire.send_message(&message).await;
                }
                for _ in 0..2 {
                    loop {
                        match wire.recv().await {
                            None => return (answers, wire.close_code),
                            Some((PacketKind::Data, _)) => break,
                            Some(_) => {}
                        }
                    }
                    answers += 1;
                }
            }
        }));
    }
    eventually("the load is on", || finished.load(Ordering::SeqCst) > 200).await;
    assert!(node.stop().await.is_clean);
    let mut answers = 0;
    for load in loads {
        let (count, code) = load.await.unwrap();
        answers += count;
        assert_eq!(code, Some(1001));
    }
    let (started, finished) = (started.load(Ordering::SeqCst), finished.load(Ordering::SeqCst));
    assert_eq!((started, finished), (answers, answers));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_for_ever_leaves_nothing_behind_when_its_client_goes() {
    struct Table;
    let table = Arc::new(Table);
    let weak: Weak<Table> = Arc::downgrade(&table);
    let app = App::new()
        .state(table)
        .route("Stuck.call", |session: Session, dunlin::State(table): dunlin::State<Arc<Table>>| async move {
            session.on_close(move |_, _| drop(table))?;
            session.set(session.clone());
            std::future::pending::<()>().await;
            Ok(())
        })
        .configure(|gate| gate.request_timeout = Duration::from_secs(30));
    let client = app.connect().await.unwrap();
    let node = app.local().await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_secs(1), client.request::<Value>("Stuck.call", ()))
            .await
            .is_err()
    );
    drop(client);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((node.stats().sessions(), node.stats().connections()), (0, 0));
    node.stop().await;
    drop((node, app));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(weak.upgrade().is_none(), "the application's state lives on");
}

#[tokio::test(start_paused = true)]
async fn a_node_dropped_without_a_stop_ends_its_sessions_once() {
    let journal = Journal::default();
    let closed = journal.clone();
    let app = echo().on_closed(move |_, reason| closed.note(format!("{reason}")));
    let (one, two) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    drop(app);
    assert_eq!((one.closed().await, two.closed().await), (LocalEnd::Closed, LocalEnd::Closed));
    assert_eq!(journal.entries(), ["the server is stopping", "the server is stopping"]);
}

#[tokio::test(start_paused = true)]
async fn two_clients_that_connect_first_at_once_start_one_application() {
    let app = App::new().service(Slow(Journal::default()));
    let (one, two) = tokio::join!(app.connect(), app.connect());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(app.local().await.unwrap().stats().sessions_opened, 2);
}

#[tokio::test]
async fn an_error_body_is_readable_by_a_client_that_takes_compressed_answers() {
    let app = App::new()
        .route("Fail.long", || async { Err::<(), _>(dunlin::Error::new(7, "x".repeat(2000))) })
        .configure(|gate| gate.compress_from = Some(100));
    let (node, addr) = serve(app).await;
    let mut wire = Wire::tcp(addr).await;
    wire.shake_hands(r#"{"sys":{"caps":["zlib"],"type":"x","version":"1"}}"#).await;
    let (flag, body) = wire.request(1, "Fail.long", b"{}").await;
    assert_eq!(flag & 0x10, 0);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], json!(7));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_clients_is_let_go_in_batches_and_whoever_waits_for_an_answer_has_it() {
    let gone: Arc<std::sync::Mutex<Vec<Instant>>> = Arc::default();
    let noted = gone.clone();
    let app = App::new()
        .route("Slow.work", || async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok("done")
        })
        .on_closed(move |_, _| noted.lock().unwrap().push(Instant::now()));
    let mut clients = Vec::new();
    for _ in 0..2_000 {
        clients.push(app.connect().await.unwrap());
    }
    let node = app.local().await.unwrap();
    let busy = &clients[0];
    let stop_later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.stop().await
    };
    let (answer, stopped) = tokio::join!(busy.request::<String>("Slow.work", ()), stop_later);
    assert_eq!(answer.unwrap(), "done");
    assert!(stopped.is_clean);
    let gone = gone.lock().unwrap();
    assert_eq!(gone.len(), 2_000);
    let mut largest = 0;
    for (at, begin) in gone.iter().enumerate() {
        let batch = gone[at..].iter().take_while(|when| **when - *begin < Duration::from_millis(90)).count();
        largest = largest.max(batch);
    }
    assert!(largest <= 300, "{largest} went at once");
}

#[tokio::test]
async fn a_stop_sends_clients_away_that_can_come_back_and_tells_others_nothing_they_do_not_know() {
    let (node, addr) = serve(echo().configure(|gate| gate.drain_window = Duration::from_secs(3))).await;
    let ours = dunlin_client::Client::connect(&format!("ws://{addr}")).await.unwrap();
    let mut nanos = Wire::tcp(addr).await;
    nanos.shake_hands(r#"{"sys":{"type":"js-websocket","version":"0.0.1"}}"#).await;
    assert!(node.stop().await.is_clean);
    let reason = tokio::time::timeout(Duration::from_secs(10), ours.closed()).await.unwrap();
    let dunlin_client::CloseReason::SentAway { within } = reason else { panic!("{reason}") };
    assert_eq!(within, Duration::from_secs(3));
    let told = nanos.expect_closed().await;
    assert!(!told.contains(&PacketKind::Kick), "it would take it for one: {told:?}");
}

#[tokio::test]
async fn a_client_that_is_sent_away_comes_back_by_itself_when_somebody_serves_again() {
    let (node, addr) = serve(echo().configure(|gate| gate.drain_window = Duration::ZERO)).await;
    let policy = dunlin_client::Reconnect::full_jitter(Duration::from_millis(10), Duration::from_millis(100));
    let builder = dunlin_client::Client::builder(&format!("ws://{addr}")).reconnect(policy);
    let client = builder.connect().await.unwrap();
    node.stop().await;
    let again =
        App::new().route("Echo.ping", |dunlin::Raw(body): dunlin::Raw| async move { Ok(dunlin::Raw(body)) });
    let _again = again.listen(addr).start().await.unwrap();
    let back = async {
        while client.request_raw("Echo.ping", "hi").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
}

struct Clock(Arc<AtomicUsize>);

#[service]
impl Clock {
    #[every("10ms")]
    async fn tick(&self) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_aborted_ticks_no_more() {
    let ticks = Arc::new(AtomicUsize::new(0));
    let app = App::new().service(Clock(ticks.clone()));
    let node = app.local().await.unwrap();
    tokio::time::sleep(Duration::from_millis(105)).await;
    assert_eq!(ticks.load(Ordering::Relaxed), 10);
    node.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ticks.load(Ordering::Relaxed), 10);
}
