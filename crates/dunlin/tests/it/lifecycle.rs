//! Sessions begin and end once, heartbeats keep the living, and a stop is graceful.

use std::time::Duration;

use dunlin::{
    Admitted, App, CallError, CloseReason, ConnectError, LocalEnd, NotReady, Raw, Refusal, Result, Session,
    service,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Journal, Wire, echo, eventually, serve};

/// An application whose hooks write down what happens.
fn journaled(journal: &Journal) -> App {
    let [opened, bound, closed] = [journal.clone(), journal.clone(), journal.clone()];
    App::new()
        .route("Login.as", |session: Session, dunlin::Msg(uid): dunlin::Msg<String>| async move {
            session.bind(uid).await?;
            Ok(())
        })
        .on_opened(move |_| opened.note("opened"))
        .on_bound(move |session| bound.note(format!("bound {}", session.uid().unwrap())))
        .on_closed(move |_, reason| closed.note(format!("closed: {reason}")))
}

#[tokio::test(start_paused = true)]
async fn opened_bound_and_closed_are_told_exactly_once_each() {
    let journal = Journal::default();
    let app = journaled(&journal);
    let client = app.connect().await.unwrap();
    client.request::<Value>("Login.as", "ann").await.unwrap();
    client.request::<Value>("Login.as", "ann").await.unwrap();
    let node = app.local().await.unwrap();
    let session = node.sessions().of_uid("ann").pop().unwrap();
    let noted = journal.clone();
    session
        .on_close(move |session, _| noted.note(format!("callback of {}", session.uid().unwrap())))
        .unwrap();
    drop(client);
    while node.stats().sessions() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(journal.entries(), ["opened", "bound ann", "callback of ann", "closed: closed by the client"]);
    assert!(session.is_closed() && node.sessions().of_uid("ann").is_empty());
    assert!(session.on_close(|_, _| {}).is_err() && session.kick("late").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_second_uid_for_a_bound_session_is_a_typed_error() {
    let app = journaled(&Journal::default());
    let client = app.connect().await.unwrap();
    client.request::<Value>("Login.as", "ann").await.unwrap();
    let error = client.request::<Value>("Login.as", "bob").await.unwrap_err();
    assert!(matches!(error, CallError::Server { code: 409, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_validator_sees_the_handshake_answers_it_and_may_refuse() {
    let app = App::new()
        .route("Who.ami", |session: Session| async move { Ok(session.uid().map(|uid| uid.to_string())) })
        .validate(|session, handshake| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            match handshake.user["token"].as_str() {
                Some("secret") => session.bind("ann").await.map_err(|_| Refusal::new(500, "no"))?,
                _ => return Err(Refusal::new(426, "update first")),
            }
            Ok(Admitted::with_user(json!({ "motd": "welcome" })))
        });
    let refused = app.connect().await.unwrap_err();
    assert_eq!(refused, ConnectError::Refused { code: 426, message: Some("update first".to_owned()) });
    let config = dunlin::ClientConfig { user: json!({ "token": "secret" }), ..Default::default() };
    let client = app.connect_with(config).await.unwrap();
    assert_eq!(client.welcome().user, Some(json!({ "motd": "welcome" })));
    assert_eq!(client.request::<String>("Who.ami", ()).await.unwrap(), "ann");
    assert_eq!(app.local().await.unwrap().stats().handshakes_refused, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_hook_or_callback_harms_nobody() {
    let app = echo().on_opened(|_| panic!("on purpose")).on_closed(|_, _| panic!("on purpose"));
    let client = app.connect().await.unwrap();
    assert_eq!(client.request_raw("Echo.ping", "x").await.unwrap(), "x");
    drop(client);
    assert_eq!(app.connect().await.unwrap().request_raw("Echo.ping", "y").await.unwrap(), "y");
}

#[tokio::test(start_paused = true)]
async fn a_client_with_heartbeats_lives_for_an_hour_of_silence() {
    let app = echo();
    let client = app.connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(client.request_raw("Echo.ping", "alive").await.unwrap(), "alive");
}

#[tokio::test]
async fn a_client_that_falls_silent_gets_heartbeats_and_is_closed_after_two_intervals() {
    let journal = Journal::default();
    let app = journaled(&journal).configure(|gate| gate.heartbeat_interval = Duration::from_millis(300));
    let (node, addr) = serve(app).await;
    let mut wire = Wire::tcp(addr).await;
    wire.shake_hands("{}").await;
    let start = Instant::now();
    let kinds = wire.expect_closed().await;
    assert!(kinds.len() >= 2, "heartbeats came first: {kinds:?}");
    assert!(start.elapsed() > Duration::from_millis(700), "{:?}", start.elapsed());
    eventually("told", || journal.entries().len() == 2).await;
    assert_eq!(journal.entries()[1], format!("closed: {}", CloseReason::Silent));
    node.stop().await;
}

struct Slow;

#[service]
impl Slow {
    #[request]
    async fn work(&self) -> Result<&'static str> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok("done")
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_running_requests_then_disconnects_everybody() {
    let app = App::new().service(Slow);
    let (busy, idle) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    let node = app.local().await.unwrap();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        node.stop().await
    };
    let (answer, stopped) = tokio::join!(busy.request::<String>("Slow.work", ()), stopping);
    assert_eq!(answer.unwrap(), "done");
    assert!(stopped.is_clean);
    assert_eq!((busy.closed().await, idle.closed().await), (LocalEnd::Closed, LocalEnd::Closed));
    assert_eq!(app.connect().await.unwrap_err(), ConnectError::Closed);
    assert_eq!(node.stats().sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_longer_than_its_deadline() {
    let app = App::new()
        .route("Stuck.call", || async {
            std::future::pending::<()>().await;
            Ok(())
        })
        .configure(|gate| {
            gate.stop_timeout = Duration::from_secs(3);
            gate.request_timeout = Duration::from_secs(60);
        });
    let client = app.connect().await.unwrap();
    let node = app.local().await.unwrap();
    let start = Instant::now();
    let call = client.request::<Value>("Stuck.call", ());
    let (answer, _) = tokio::join!(call, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.stop().await
    });
    assert_eq!(answer.unwrap_err(), CallError::Closed);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn websocket_clients_are_told_that_the_server_goes_away() {
    let (node, addr) = serve(echo()).await;
    let mut wire = Wire::ws(addr).await;
    wire.shake_hands("{}").await;
    let (stopped, _) = tokio::join!(node.stop(), wire.expect_closed());
    assert!(stopped.is_clean);
    assert_eq!(wire.close_code, Some(1001));
}

#[tokio::test(start_paused = true)]
async fn what_a_session_keeps_is_there_in_the_closing_hook_and_goes_after_it() {
    #[derive(Clone)]
    struct Seat(u32);

    let journal = Journal::default();
    let closed = journal.clone();
    let app = App::new()
        .route("Sit.down", |session: Session| async move {
            session.set(Seat(7));
            Ok(())
        })
        .route("Sit.still", |session: Session| async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            session.set(Seat(8));
            session.set(session.clone());
            Ok(())
        })
        .on_closed(move |session, _| closed.note(format!("{:?}", session.get::<Seat>().map(|seat| seat.0))));
    let client = app.connect().await.unwrap();
    client.request::<Value>("Sit.down", ()).await.unwrap();
    let call = client.request::<Value>("Sit.still", ());
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    drop(client);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(journal.entries(), ["Some(7)"]);
}

#[tokio::test(start_paused = true)]
async fn a_value_set_after_the_end_is_dropped_even_if_it_holds_the_session() {
    #[expect(dead_code, reason = "only its drop is watched")]
    struct Holder(Session, std::sync::Arc<()>);

    let witness = std::sync::Arc::new(());
    let held = witness.clone();
    let app = App::new().route("Sit.still", move |session: Session| {
        let held = held.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            session.set(Holder(session.clone(), held));
            Ok(())
        }
    });
    let client = app.connect().await.unwrap();
    let call = client.request::<Value>("Sit.still", ());
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    drop(client);
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(app);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(std::sync::Arc::strong_count(&witness), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_echoes_while_its_shards_turn_and_not_when_it_stops() {
    let node =
        App::new().route("Echo.ping", |Raw(body): Raw| async move { Ok(Raw(body)) }).local().await.unwrap();
    let second = Duration::from_secs(1);
    assert_eq!(node.echo(second).await, Ok(()));
    node.stop().await;
    assert_eq!(node.echo(second).await, Err(NotReady::Stopping));
}

#[test]
fn a_shard_that_a_handler_blocks_does_not_echo() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let blocks = move |_session: &Session| held.lock().unwrap().recv().unwrap();
        let app = App::new().configure(|gate| gate.shards = 1).on_opened(blocks).listen("127.0.0.1:0");
        let node = app.start().await.unwrap();
        let url = format!("tcp://{}", node.addrs()[0]);
        let client = tokio::spawn(async move { dunlin_client::Client::connect(&url).await });
        let deaf = async { while node.echo(Duration::from_millis(50)).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(20), deaf).await.unwrap();
        let_go.send(()).unwrap();
        client.await.unwrap().unwrap();
        assert_eq!(node.echo(Duration::from_secs(20)).await, Ok(()));
        node.stop().await;
    });
}
