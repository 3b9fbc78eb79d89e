//! Services with `&mut self`: one thing at a time, bounded, and harmed by no single call.

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::*;
use crate::State;

/// Lets handlers wait until a test says so.
#[derive(Clone)]
struct Doors(Arc<Semaphore>);

#[derive(Default)]
struct Room {
    calls: u32,
    is_busy: bool,
}

#[crate::service(serial, mailbox = 2)]
impl Room {
    /// Waits for a door to open, and fails when another call got in between.
    #[request]
    async fn enter(&mut self, doors: State<Doors>) -> Result<u32> {
        assert!(!self.is_busy);
        self.is_busy = true;
        doors.0.0.acquire().await.unwrap().forget();
        self.is_busy = false;
        self.calls += 1;
        Ok(self.calls)
    }

    #[request]
    async fn count(&self) -> Result<u32> {
        Ok(self.calls)
    }

    #[notify]
    async fn panic(&mut self) {
        self.calls += 1;
        panic!("on purpose");
    }
}

async fn bench() -> (Bench, Doors) {
    let doors = Doors(Arc::new(Semaphore::new(0)));
    let bench = Bench::started(|set| {
        set.state(doors.clone());
        set.service(Room::default());
    })
    .await;
    (bench, doors)
}

/// Begins a call: polls it once and gives the service's task its turn.
async fn begin(bench: &Bench, route: &str) -> CallFuture {
    let mut call = bench.call(CallKind::Request, route, "");
    assert!((&mut call).now_or_never().is_none());
    tokio::task::yield_now().await;
    call
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_serial_service_do_not_overlap() {
    let (bench, doors) = bench().await;
    let (one, two) = (begin(&bench, "Room.enter").await, begin(&bench, "Room.enter").await);
    doors.0.add_permits(2);
    let (two, one) = tokio::join!(two, one);
    assert_eq!((&one.unwrap().body()[..], &two.unwrap().body()[..]), (&b"1"[..], &b"2"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_an_answer_at_once() {
    let (bench, doors) = bench().await;
    let _running = begin(&bench, "Room.enter").await;
    let _waiting = (begin(&bench, "Room.enter").await, begin(&bench, "Room.enter").await);
    let refused = bench.call(CallKind::Request, "Room.enter", "").now_or_never().unwrap();
    assert_eq!(refused.unwrap_err().code(), Error::OVERLOADED);
    drop(doors);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_is_gone_does_not_run() {
    let (bench, doors) = bench().await;
    let running = begin(&bench, "Room.enter").await;
    drop(begin(&bench, "Room.enter").await);
    doors.0.add_permits(2);
    running.await.unwrap();
    assert_eq!(bench.request("Room.count", "").await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_runs_is_not_cut_when_its_caller_goes() {
    let (bench, doors) = bench().await;
    drop(begin(&bench, "Room.enter").await);
    doors.0.add_permits(1);
    assert_eq!(bench.request("Room.count", "").await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_panic_answers_its_own_call_and_the_service_goes_on() {
    let (bench, _doors) = bench().await;
    assert_eq!(bench.refused("Room.panic", "").await.code(), Error::INTERNAL);
    assert_eq!(bench.request("Room.count", "").await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_gives_way_after_the_call_timeout() {
    let (bench, _doors) = bench().await;
    let began = Instant::now();
    assert_eq!(bench.refused("Room.enter", "").await.code(), Error::TIMEOUT);
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(bench.request("Room.count", "").await.unwrap(), "0");
}

#[tokio::test(start_paused = true)]
async fn calls_that_still_wait_at_shutdown_are_told_so() {
    let (mut bench, doors) = bench().await;
    let running = begin(&bench, "Room.enter").await;
    let waiting = begin(&bench, "Room.enter").await;
    doors.0.add_permits(1);
    bench.stop().await;
    assert!(running.await.is_ok());
    assert_eq!(waiting.await.unwrap_err().code(), Error::UNAVAILABLE);
    assert_eq!(bench.refused("Room.count", "").await.code(), Error::UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_application_is_dropped_ends_its_task() {
    let (bench, _doors) = bench().await;
    let parts = bench.services.parts.clone();
    assert_eq!(parts.tasks.count(), 1);
    drop(bench);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(parts.tasks.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn ticks_take_turns_with_calls_and_do_not_catch_up() {
    #[derive(Default)]
    struct Match(Vec<&'static str>);
    #[crate::service(serial)]
    impl Match {
        #[request]
        async fn think(&mut self) -> Result<()> {
            self.0.push("call");
            tokio::time::sleep(Duration::from_millis(230)).await;
            Ok(())
        }

        #[every("50ms")]
        async fn tick(&mut self) {
            self.0.push("tick");
        }

        #[every("1h")]
        async fn seldom(&mut self) {
            self.0.push("seldom");
        }

        #[request]
        async fn history(&mut self) -> Result<Vec<&'static str>> {
            Ok(std::mem::take(&mut self.0))
        }
    }
    let bench = Bench::started(|set| set.service(Match::default())).await;
    tokio::time::sleep(Duration::from_millis(110)).await;
    bench.request("Match.think", "").await.unwrap();
    // The call ended at 340 ms: one late tick at once, the next one in rhythm at 350 ms.
    tokio::time::sleep(Duration::from_millis(15)).await;
    assert_eq!(bench.request("Match.history", "").await.unwrap(), r#"["tick","tick","call","tick","tick"]"#);
}
