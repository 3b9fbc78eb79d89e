//! One session's messages are handled in order, and sessions never wait for each other.

use std::time::Duration;

use dunlin::{App, Event, Msg, Result, Session, service};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::support::Journal;

#[derive(Serialize, Deserialize, Event)]
#[event("onStep")]
struct Step {
    number: u32,
}

#[tokio::test(start_paused = true)]
async fn a_slow_sale_is_finished_before_the_purchase_sent_after_it() {
    let journal = Journal::default();
    let (selling, buying) = (journal.clone(), journal.clone());
    let app = App::new()
        .route("Shop.sell", move || {
            let journal = selling.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                journal.note("sold");
                Ok(())
            }
        })
        .route("Shop.buy", move || {
            let journal = buying.clone();
            async move {
                journal.note("bought");
                Ok(())
            }
        });
    let client = app.connect().await.unwrap();
    let (sold, bought) = tokio::join!(
        client.request::<serde_json::Value>("Shop.sell", ()),
        client.request::<serde_json::Value>("Shop.buy", ())
    );
    assert!(sold.is_ok() && bought.is_ok());
    assert_eq!(journal.entries(), ["sold", "bought"]);
}

#[tokio::test(start_paused = true)]
async fn a_concurrent_route_does_not_wait_for_the_ordered_one() {
    let app = App::new()
        .route("Slow.one", || async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(())
        })
        .route_with("Fast.one", dunlin::RouteOptions::default().concurrent(), || async { Ok(()) });
    let client = app.connect().await.unwrap();
    let start = Instant::now();
    let slow = client.request::<serde_json::Value>("Slow.one", ());
    let fast = async {
        client.request::<serde_json::Value>("Fast.one", ()).await.unwrap();
        start.elapsed()
    };
    let (slow, fast) = tokio::join!(slow, fast);
    slow.unwrap();
    assert!(fast < Duration::from_secs(1), "{fast:?}");
}

#[tokio::test(start_paused = true)]
async fn one_sessions_stalled_handler_does_not_delay_another_session() {
    let app = App::new().route("Wait.secs", |Msg(secs): Msg<u64>| async move {
        tokio::time::sleep(Duration::from_secs(secs)).await;
        Ok(secs)
    });
    let (stalled, free) = (app.connect().await.unwrap(), app.connect().await.unwrap());
    let start = Instant::now();
    let (_, at) = tokio::join!(stalled.request::<u64>("Wait.secs", 9), async {
        free.request::<u64>("Wait.secs", 0).await.unwrap();
        start.elapsed()
    });
    assert!(at < Duration::from_millis(500), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn pushes_before_an_answer_arrive_before_it_and_in_order() {
    let app = App::new().route("Push.three", |session: Session| async move {
        for number in 0..3 {
            session.push(&Step { number })?;
        }
        Ok(())
    });
    let client = app.connect().await.unwrap();
    client.request::<serde_json::Value>("Push.three", ()).await.unwrap();
    for expected in 0..3 {
        let push = client.try_push().expect("the push came before the answer");
        assert_eq!(push.route, "onStep");
        assert_eq!(serde_json::from_slice::<Step>(&push.body).unwrap().number, expected);
    }
}

#[derive(Default)]
struct Counter {
    value: u64,
}

#[service(serial)]
impl Counter {
    /// Reads, waits, and writes: without mutual exclusion this would lose updates.
    #[request]
    async fn add(&mut self, Msg(by): Msg<u64>) -> Result<u64> {
        let before = self.value;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.value = before + by;
        Ok(self.value)
    }
}

#[tokio::test(start_paused = true)]
async fn a_serial_service_loses_no_update_of_many_sessions() {
    let app = App::new().service(Counter::default());
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(app.connect().await.unwrap());
    }
    let calls = clients.iter().flat_map(|client| (0..10).map(|_| client.request::<u64>("Counter.add", 1)));
    let outcomes = futures_util::future::join_all(calls).await;
    assert_eq!(outcomes.into_iter().map(|outcome| outcome.unwrap()).max(), Some(100));
}

#[tokio::test(start_paused = true)]
async fn more_messages_than_the_limit_wait_in_the_connection_and_none_is_lost() {
    let app = App::new()
        .route("Slow.echo", |Msg(number): Msg<u32>| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(number)
        })
        .configure(|gate| gate.unanswered_max = 4);
    let client = app.connect().await.unwrap();
    let calls = (0..200_u32).map(|number| client.request::<u32>("Slow.echo", number));
    let outcomes: Vec<_> =
        futures_util::future::join_all(calls).await.into_iter().map(|outcome| outcome.unwrap()).collect();
    assert_eq!(outcomes, (0..200).collect::<Vec<_>>());
}
