//! Several nodes that work as one server, in one process.

mod forwarding;
mod internal;
mod losses;
mod sessions;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin::{App, Error, Groups, Msg, Raw, RouteOptions, Session, TestCluster};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// What a backend has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// What was said, by session, in the order in which it was handled.
    pub(crate) said: Mutex<Vec<(u64, u64)>>,
    /// Sessions that ended, with why.
    pub(crate) ended: Mutex<Vec<(u64, String)>>,
}

#[derive(Serialize, Deserialize, dunlin::Event, Debug, PartialEq, Eq)]
#[event("onLine")]
pub(crate) struct Line {
    pub(crate) text: String,
}

/// A backend with the service `Room`, which says its name.
pub(crate) fn room(name: &'static str, seen: &Arc<Seen>) -> App {
    let (say, join, ended) = (seen.clone(), seen.clone(), seen.clone());
    App::new()
        .state(())
        .route("Room.name", move || async move { Ok(name) })
        .route_with("Room.again", RouteOptions::default().idempotent(), move || async move {
            sleep(Duration::from_secs(2)).await;
            Ok(name)
        })
        .route("Room.echo", |Raw(body): Raw| async move { Ok(Raw(body)) })
        .route("Room.fail", || async move {
            Err::<(), _>(
                Error::new(1001, "the table is full").with_details(serde_json::json!({ "seats": 4 })),
            )
        })
        .route("Room.panic", || async move {
            let none = Vec::<u32>::new();
            Ok(none[0])
        })
        .route("Room.wait", |Msg(ms): Msg<u64>| async move {
            sleep(Duration::from_millis(ms)).await;
            Ok(ms)
        })
        .route("Room.whoami", |session: Session| async move {
            Ok((session.uid().map(|uid| uid.to_string()), session.shared::<u32>("level")))
        })
        .route("Room.login", |session: Session, Msg(uid): Msg<String>| async move {
            session.bind(uid).await?;
            session.share("level", &7_u32).map_err(|_| Error::internal("no"))?;
            Ok(())
        })
        .notify_route("Room.say", move |session: Session, Msg(n): Msg<u64>| {
            let say = say.clone();
            async move {
                // Now and then a handler waits; the order must hold all the same.
                if n % 7 == 0 {
                    sleep(Duration::from_millis(5)).await;
                }
                say.said.lock().unwrap().push((session.id().get(), n));
            }
        })
        .route("Room.join", move |session: Session, groups: Groups| {
            let join = join.clone();
            async move {
                groups.group("room").add(&session)?;
                session
                    .on_close(move |session, reason| {
                        join.ended.lock().unwrap().push((session.id().get(), reason.to_string()));
                    })
                    .map_err(|_| Error::internal("no"))?;
                Ok(())
            }
        })
        .route("Room.shout", |groups: Groups, Msg(text): Msg<String>| async move {
            let delivery = groups.group("room").broadcast(&Line { text })?;
            Ok((delivery.queued, delivery.refused))
        })
        .route("Room.push", |session: Session, Msg(text): Msg<String>| async move {
            session.push(&Line { text })?;
            Ok(())
        })
        .route("Room.kick", |session: Session, Msg(why): Msg<String>| async move {
            session.kick(why).map_err(|_| Error::internal("no"))?;
            Ok(())
        })
        .on_closed(move |session, _| {
            let all = ended.ended.lock().unwrap();
            tracing::debug!(session = %session.id(), count = all.len(), "ended");
        })
}

/// A backend `one` and gates of these names.
pub(crate) async fn with_gates(gates: &[&str]) -> (TestCluster, Arc<Seen>) {
    let (mut cluster, seen) = (TestCluster::new(), Arc::new(Seen::default()));
    cluster.start("one", room("one", &seen)).await.unwrap();
    for gate in gates {
        let app = App::new().route("Gate.name", || async { Ok("gate") });
        let app = app.configure(|gate| gate.request_timeout = Duration::from_secs(5));
        cluster.start(gate, app).await.unwrap();
    }
    (cluster, seen)
}
