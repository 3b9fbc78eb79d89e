//! Groups: membership that ends with the session, broadcasts that count.

use dunlin::{App, BroadcastError, Event, Group, GroupError, Groups, Msg, Result, Session, service};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize, Event, Debug, PartialEq)]
#[event("onLine")]
struct Line {
    text: String,
}

struct Room;

#[service]
impl Room {
    #[request]
    async fn join(&self, session: Session, groups: Groups) -> Result<usize> {
        let room = groups.group("room");
        room.add(&session)?;
        Ok(room.count())
    }

    #[request]
    async fn say(&self, groups: Groups, Msg(text): Msg<String>) -> Result<usize> {
        Ok(groups
            .group("room")
            .broadcast(&Line { text })
            .map_err(|_| dunlin::Error::not_found("closed"))?
            .queued)
    }
}

async fn members(app: &App, count: usize) -> Vec<dunlin::LocalClient> {
    let mut clients = Vec::new();
    for expected in 1..=count {
        let client = app.connect().await.unwrap();
        assert_eq!(client.request::<usize>("Room.join", ()).await.unwrap(), expected);
        clients.push(client);
    }
    clients
}

async fn room(app: &App) -> Group {
    app.local().await.unwrap().groups().group("room")
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_every_member_once_and_says_so() {
    let app = App::new().service(Room);
    let clients = members(&app, 3).await;
    assert_eq!(clients[0].request::<usize>("Room.say", "hi 🐦").await.unwrap(), 3);
    for client in &clients {
        assert_eq!(client.expect::<Line>().await.unwrap(), Line { text: "hi 🐦".to_owned() });
        assert!(client.try_push().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn membership_ends_with_the_session_and_an_empty_group_is_forgotten() {
    let app = App::new().service(Room);
    let mut clients = members(&app, 2).await;
    let node = app.local().await.unwrap();
    clients.pop();
    while room(&app).await.count() == 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(clients[0].request::<usize>("Room.say", "x").await.unwrap(), 1);
    clients.clear();
    while node.groups().count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(node.stats().sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_membership_and_a_closed_group_are_typed_errors() {
    let app = App::new().service(Room);
    let clients = members(&app, 1).await;
    let error = clients[0].request::<Value>("Room.join", ()).await.unwrap_err();
    assert!(matches!(error, dunlin::CallError::Server { code: 409, .. }), "{error:?}");

    let room = room(&app).await;
    let session = room.members().pop().unwrap();
    room.close().unwrap();
    assert_eq!(room.close(), Err(GroupError::Closed));
    assert_eq!(room.add(&session), Err(GroupError::Closed));
    assert_eq!(room.remove(&session), Err(GroupError::Closed));
    assert_eq!(room.broadcast(&Line { text: String::new() }), Err(BroadcastError::Closed));
    assert_eq!(room.count(), 0);
    assert_eq!(clients[0].request::<usize>("Room.join", ()).await.unwrap(), 1, "a new group of that name");
}

#[tokio::test(start_paused = true)]
async fn a_multicast_goes_to_those_the_filter_picks() {
    let app = App::new().service(Room);
    let clients = members(&app, 3).await;
    let room = room(&app).await;
    let chosen = room.members().iter().map(Session::id).min().unwrap();
    let delivery =
        room.multicast(&Line { text: "you".to_owned() }, |session| session.id() == chosen).unwrap();
    assert_eq!((delivery.queued, delivery.refused), (1, 0));
    assert_eq!(clients[0].expect::<Line>().await.unwrap().text, "you");
    assert!(clients[1].try_push().is_none() && clients[2].try_push().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_is_counted_as_refused_or_gone_and_cannot_join() {
    let app = App::new().service(Room);
    let clients = members(&app, 2).await;
    let room = room(&app).await;
    let session = room.members().pop().unwrap();
    session.close().unwrap();
    let delivery = room.broadcast(&Line { text: "x".to_owned() }).unwrap();
    assert_eq!((delivery.queued, delivery.refused), (1, 1));
    drop(clients);
    while room.count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(room.add(&session), Err(GroupError::SessionClosed));
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_panics_half_way_leaves_nobody_waiting_for_what_is_queued() {
    let app = App::new().service(Room);
    let clients = members(&app, 3).await;
    let room = room(&app).await;
    let mut seen = 0;
    let broadcast = std::panic::AssertUnwindSafe(|| {
        room.multicast(&Line { text: "first".to_owned() }, |_| {
            seen += 1;
            assert!(seen < 3, "on purpose");
            true
        })
    });
    assert!(std::panic::catch_unwind(broadcast).is_err());
    room.broadcast(&Line { text: "second".to_owned() }).unwrap();
    let mut texts = Vec::new();
    for client in &clients {
        loop {
            let text = client.expect::<Line>().await.unwrap().text;
            texts.push(text.clone());
            if text == "second" {
                break;
            }
        }
    }
    texts.sort();
    assert_eq!(texts, ["first", "first", "second", "second", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_packet_too_long_for_some_reaches_the_others_and_is_counted() {
    // Only some are sent the long form.
    let lengthen = |session: &Session, _: &str, body: &mut bytes::Bytes| {
        if session.uid().is_some() {
            *body = vec![b'x'; 2000].into();
        }
        true
    };
    let app =
        App::new().service(Room).push_filter(lengthen).configure(|gate| gate.packet_body_out_max = 1000);
    let clients = members(&app, 4).await;
    let room = room(&app).await;
    let members = room.members();
    members[1].bind("ann").await.unwrap();
    let delivery = room.broadcast(&Line { text: "short".to_owned() }).unwrap();
    assert_eq!((delivery.queued, delivery.refused), (3, 1));
    let mut reached = 0;
    for client in &clients {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(1), client.expect::<Line>()).await;
        reached += usize::from(waited.is_ok_and(|line| line.is_ok()));
    }
    assert_eq!(reached, 3);
    for member in &members {
        drop(member.bind("all").await);
    }
    assert!(matches!(room.broadcast(&Line { text: String::new() }), Err(BroadcastError::Push(_))));
}
