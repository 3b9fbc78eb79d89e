//! What the macros make of what a user writes, seen by a client inside the process; and, in `ui/`, what they say when
//! it does not fit.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dunlin::service::{RouteKind, Stage};
use dunlin::{
    App, CallError, Error, Event, Groups, Json, Msg, Proto, Protobuf, Raw, Result, Session, State, Uid,
    service,
};
use serde::{Deserialize, Serialize};

#[test]
fn mistakes_are_pointed_at_with_their_mend() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[derive(Serialize, Deserialize)]
struct Join {
    room: String,
    name: String,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Joined {
    members: usize,
}

#[derive(Serialize, Deserialize, Event, PartialEq, Debug)]
#[event("onLine")]
struct Line {
    from: String,
    text: String,
}

struct Chat;

#[service]
impl Chat {
    /// Enters a room.
    ///
    /// The first to enter makes it.
    #[request]
    async fn join(&self, session: Session, groups: Groups, Msg(join): Msg<Join>) -> Result<Joined> {
        session.bind(join.name).await?;
        let room = groups.group(&join.room);
        room.add(&session)?;
        session.set(room.clone());
        Ok(Joined { members: room.count() })
    }

    #[notify]
    async fn say(&self, session: Session, Uid(from): Uid, Msg(text): Msg<String>) -> Result<()> {
        let room = session.get::<dunlin::Group>().ok_or_else(|| Error::conflict("join first"))?;
        room.broadcast(&Line { from: from.to_string(), text })?;
        Ok(())
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> u32 {
    match outcome {
        Err(CallError::Server { code, .. }) => code,
        other => panic!("the server answered {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn two_people_talk() {
    let app = App::new().service(Chat);
    let (ann, bob) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    let join = |name: &str| Join { room: "lobby".into(), name: name.into() };
    assert_eq!(code(ann.request::<Joined>("Chat.join", 5).await), Error::BAD_REQUEST);
    assert_eq!(ann.request::<Joined>("Chat.join", join("ann")).await.unwrap(), Joined { members: 1 });
    assert_eq!(bob.request::<Joined>("Chat.join", join("bob")).await.unwrap(), Joined { members: 2 });
    assert_eq!(code(bob.request::<Joined>("Chat.join", join("bob")).await), Error::CONFLICT);
    bob.notify("Chat.say", "hi").await.unwrap();
    let line = Line { from: "bob".into(), text: "hi".into() };
    assert_eq!(ann.expect::<Line>().await.unwrap(), line);
    assert_eq!(bob.expect::<Line>().await.unwrap(), line);
}

#[tokio::test(start_paused = true)]
async fn who_has_not_logged_in_is_refused_by_the_argument_that_needs_it() {
    let app = App::new().service(Chat);
    let client = app.connect().await.unwrap();
    assert_eq!(code(client.request::<()>("Chat.say", "hi").await), Error::UNAUTHENTICATED);
}

/// Every option of names and kinds.
struct Options;

#[service(name = "game.Room", rename = "PascalCase")]
impl Options {
    #[request]
    async fn leave_room(&self) -> Result<()> {
        Ok(())
    }

    #[request(name = "join", concurrent)]
    async fn enter(&self) -> Result<u8> {
        Ok(1)
    }

    #[notify(concurrent)]
    async fn r#move(&self, Raw(_): Raw) {}

    #[request]
    async fn hidden_type(&self) -> Result<impl Serialize + use<>> {
        Ok([1, 2])
    }

    /// A method without an attribute is no route.
    #[expect(dead_code, reason = "nobody may call it")]
    async fn private(&self) {}

    #[cfg(any())]
    #[request]
    async fn absent(&self) -> Result<()> {
        Ok(missing())
    }
}

#[tokio::test(start_paused = true)]
async fn routes_are_named_as_the_options_say() {
    let app = App::new().service(Options).service(Chat);
    let routes = app.routes().unwrap();
    let names: Vec<_> = routes.iter().map(|route| &*route.name).collect();
    assert_eq!(
        names,
        [
            "Chat.join",
            "Chat.say",
            "game.Room.HiddenType",
            "game.Room.LeaveRoom",
            "game.Room.Move",
            "game.Room.join"
        ]
    );
    let [join, say, _, leave, mv, enter] = &*routes else { panic!("there are six routes") };
    assert_eq!(join.docs, "Enters a room.\n\nThe first to enter makes it.");
    assert_eq!((join.payload_type, join.reply_type), (Some("macros::Join"), Some("macros::Joined")));
    assert_eq!((join.kind, say.kind), (RouteKind::Request, RouteKind::Notify));
    assert_eq!((leave.is_concurrent, mv.is_concurrent, enter.is_concurrent), (false, true, true));

    let client = app.connect().await.unwrap();
    assert_eq!(client.request::<Vec<u8>>("game.Room.HiddenType", ()).await.unwrap(), [1, 2]);
    assert_eq!(client.request::<u8>("game.Room.join", ()).await.unwrap(), 1);
    assert_eq!(code(client.request::<()>("game.Room.leave_room", ()).await), Error::NOT_FOUND);
}

/// A generic service, and an error type of its own.
struct Store<T>(Mutex<Vec<T>>);

enum StoreError {
    Empty,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Empty => Self::new(1001, "the store is empty").with_details([1]),
        }
    }
}

#[service]
impl<T> Store<T>
where
    T: Serialize + for<'de> Deserialize<'de> + Send + 'static,
{
    #[notify]
    async fn put(&self, Msg(value): Msg<T>) {
        self.0.lock().unwrap().push(value);
    }

    #[request]
    async fn take(&self) -> Result<T, StoreError> {
        self.0.lock().unwrap().pop().ok_or(StoreError::Empty)
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_may_be_generic_served_under_other_names_and_fail_with_its_own_errors() {
    let app = App::new()
        .service_as("Numbers", Store::<u32>(Mutex::default()))
        .service_as("Words", Store::<String>(Mutex::default()));
    let client = app.connect().await.unwrap();
    client.notify("Numbers.put", 7).await.unwrap();
    client.notify("Words.put", "seven").await.unwrap();
    assert_eq!(client.request::<u32>("Numbers.take", ()).await.unwrap(), 7);
    assert_eq!(client.request::<String>("Words.take", ()).await.unwrap(), "seven");
    assert_eq!(code(client.request::<u32>("Numbers.take", ()).await), 1001);
}

#[derive(Clone, PartialEq, prost::Message, Event)]
#[event("onMove", protobuf, key = player)]
struct Move {
    #[prost(uint32, tag = "1")]
    player: u32,
}

struct Map;

#[service(serializer = Json)]
impl Map {
    #[request]
    async fn step(&self, session: Session, Proto(step): Proto<Move>) -> Result<Proto<Move>> {
        session.push(&step)?;
        Ok(Proto(step))
    }

    #[request]
    async fn size(&self) -> Result<[u32; 2]> {
        Ok([3, 4])
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_may_mix_protobuf_with_a_serializer_of_its_own() {
    let app = App::new().serializer(Protobuf).service(Map);
    let client = app.connect().await.unwrap();
    assert_eq!(&client.request_raw("Map.step", &b"\x08\x05"[..]).await.unwrap()[..], b"\x08\x05");
    let push = client.next_push().await.unwrap();
    assert_eq!((&*push.route, &push.body[..]), ("onMove", &b"\x08\x05"[..]));
    assert_eq!(&client.request_raw("Map.size", &b""[..]).await.unwrap()[..], b"[3,4]");
}

#[derive(Serialize, Event)]
#[event("onMove", key = (self.player, "position"))]
struct Position<'a> {
    player: &'a str,
}

#[derive(Serialize, Event)]
#[event("onSeen", key = player)]
struct Seen<'a> {
    player: &'a str,
}

#[test]
fn the_coalescing_key_is_of_the_route_and_the_expression() {
    let key = |player| Position { player }.coalesce_key().unwrap();
    assert_eq!(key("ann"), key("ann"));
    assert_ne!(key("ann"), key("bob"));
    assert_ne!(Seen { player: "ann" }.coalesce_key(), Some(key("ann")));
    assert_eq!(Line { from: String::new(), text: String::new() }.coalesce_key(), None);
}

/// Every kind of method that is no route.
#[derive(Default)]
struct Clock {
    ticks: u32,
}

#[service(serial, mailbox = 4)]
impl Clock {
    #[init]
    async fn set(&mut self, start: State<u32>) {
        self.ticks = *start;
    }

    #[after_init]
    async fn check(&self) -> Result<()> {
        if self.ticks == 0 { Err(Error::internal("the clock is not set")) } else { Ok(()) }
    }

    #[every("20ms")]
    async fn tick(&mut self) {
        self.ticks += 1;
    }

    #[every("1s")]
    async fn strike(&mut self, groups: Groups) -> Result<()> {
        groups.group("clock").broadcast(&Line { from: "clock".into(), text: self.ticks.to_string() })?;
        Ok(())
    }

    #[request]
    async fn now(&mut self, session: Session, groups: Groups) -> Result<u32> {
        groups.group("clock").add(&session)?;
        Ok(self.ticks)
    }
}

#[tokio::test(start_paused = true)]
async fn a_serial_service_keeps_its_state_between_ticks_and_calls() {
    let app = App::new().state(100_u32).service(Clock::default());
    let client = app.connect().await.unwrap();
    assert_eq!(client.request::<u32>("Clock.now", ()).await.unwrap(), 100);
    tokio::time::sleep(Duration::from_millis(990)).await;
    assert_eq!(code(client.request::<u32>("Clock.now", ()).await), Error::CONFLICT);
    assert_eq!(client.expect::<Line>().await.unwrap().text, "150");
}

#[tokio::test(start_paused = true)]
async fn an_application_whose_service_fails_to_start_does_not_serve() {
    let app = App::new().state(0_u32).service(Clock::default());
    let error = app.connect().await.expect_err("the clock is not set");
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let chain: Vec<_> = chain.map(ToString::to_string).collect();
    assert!(
        chain
            .iter()
            .any(|text| text.contains("`Clock`") && text.contains(&format!("{:?}", Stage::AfterInit))),
        "{chain:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_application_without_a_state_it_needs_does_not_serve() {
    let app = App::new().service(Clock::default());
    let error = app.routes().unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("`State<u32>`"));
}

struct Alarm;

#[service]
impl Alarm {
    #[request]
    async fn set(&self, session: Session, sent: State<AtomicUsize>) -> Result<()> {
        let to = session.clone();
        session.timers().every(Duration::from_secs(1), move || {
            let (to, sent) = (to.clone(), sent.clone());
            async move {
                sent.fetch_add(1, Ordering::SeqCst);
                to.push(&Line { from: "alarm".into(), text: "wake up".into() }).ok();
            }
        })?;
        Ok(())
    }

    #[request]
    async fn rings(&self, sent: State<AtomicUsize>) -> Result<usize> {
        Ok(sent.load(Ordering::SeqCst))
    }
}

#[tokio::test(start_paused = true)]
async fn timers_of_a_session_end_with_it_even_when_they_hold_it() {
    let app = App::new().state(AtomicUsize::new(0)).service(Alarm);
    let (ann, bob) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    ann.request_raw("Alarm.set", "").await.unwrap();
    assert_eq!(ann.expect::<Line>().await.unwrap().text, "wake up");
    ann.close().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bob.request::<usize>("Alarm.rings", ()).await.unwrap(), 1);
}
