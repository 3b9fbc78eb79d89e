//! The life of services: order, failure, and that nothing is left behind.

use super::*;
use crate::{State, Timers};

/// Notes its stages; shared.
struct Noting(&'static str);

#[crate::service]
impl Noting {
    #[init]
    async fn init(&self, log: State<Log>) -> Result<()> {
        log.add(format!("{} init", self.0));
        if self.0 == "broken" { Err(Error::internal("no disk")) } else { Ok(()) }
    }

    #[after_init]
    async fn after_init(&self, log: State<Log>) {
        log.add(format!("{} after_init", self.0));
    }

    #[before_shutdown]
    async fn before_shutdown(&self, log: State<Log>) {
        log.add(format!("{} before_shutdown", self.0));
    }

    #[shutdown]
    async fn shutdown(&self, log: State<Log>) {
        log.add(format!("{} shutdown", self.0));
    }
}

/// Notes its stages; serial.
struct SerialNoting(&'static str, u32);

#[crate::service(serial)]
impl SerialNoting {
    #[init]
    async fn init(&mut self, log: State<Log>) {
        self.note("init", &log);
    }

    #[after_init]
    async fn after_init(&mut self, log: State<Log>) {
        self.note("after_init", &log);
    }

    #[before_shutdown]
    async fn before_shutdown(&mut self, log: State<Log>) {
        self.note("before_shutdown", &log);
    }

    #[shutdown]
    async fn shutdown(&mut self, log: State<Log>) {
        self.note("shutdown", &log);
    }

    fn note(&mut self, stage: &str, log: &Log) {
        self.1 += 1;
        log.add(format!("{} {stage} {}", self.0, self.1));
    }
}

fn tasks(bench: &Bench) -> usize {
    bench.services.parts.tasks.count()
}

#[tokio::test(start_paused = true)]
async fn services_start_in_order_and_stop_in_reverse() {
    let log = Log::default();
    let mut bench = Bench::started(|set| {
        set.state(log.clone());
        set.service_as("One", Noting("one"));
        set.service_as("Two", SerialNoting("two", 0));
        set.service_as("Three", Noting("three"));
    })
    .await;
    let started =
        ["one init", "two init 1", "three init", "one after_init", "two after_init 2", "three after_init"];
    assert_eq!(log.take(), started);
    bench.stop().await;
    let stopped = [
        "three before_shutdown",
        "two before_shutdown 3",
        "one before_shutdown",
        "three shutdown",
        "two shutdown 4",
        "one shutdown",
    ];
    assert_eq!(log.take(), stopped);
    assert_eq!(tasks(&bench), 0);
    bench.stop().await;
    assert!(log.take().is_empty(), "no hook runs twice");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_to_start_is_named_and_those_before_it_are_stopped() {
    let log = Log::default();
    let mut bench = Bench::new(|set| {
        set.state(log.clone());
        set.service_as("One", Noting("one"));
        set.service_as("Bad", Noting("broken"));
        set.service_as("Never", Noting("never"));
    })
    .await;
    let error = bench.services.lifecycle.start(Instant::now() + Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "service `Bad` failed in Init");
    assert_eq!(log.take(), ["one init", "broken init", "one before_shutdown", "one shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn a_serial_service_that_fails_to_start_leaves_no_task_behind() {
    struct Broken;
    #[crate::service(serial)]
    impl Broken {
        #[init]
        async fn init(&mut self) -> Result<()> {
            Err(Error::internal("no disk"))
        }
    }
    let mut bench = Bench::new(|set| set.service(Broken)).await;
    let began = Instant::now();
    bench.services.lifecycle.start(began + Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((tasks(&bench), began.elapsed()), (0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_ends_is_given_up_at_the_deadline() {
    struct Stuck;
    #[crate::service(serial)]
    impl Stuck {
        #[shutdown]
        async fn wait(&mut self) {
            std::future::pending::<()>().await;
        }
    }
    let mut bench = Bench::started(|set| set.service(Stuck)).await;
    let began = Instant::now();
    bench.stop().await;
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(tasks(&bench), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_is_a_failed_start() {
    struct Panics;
    #[crate::service]
    impl Panics {
        #[after_init]
        async fn check(&self) {
            panic!("on purpose");
        }
    }
    let mut bench = Bench::new(|set| set.service(Panics)).await;
    let started = bench.services.lifecycle.start(Instant::now() + Duration::from_secs(1)).await;
    assert!(matches!(started, Err(StartError::Hook { stage: Stage::AfterInit, .. })), "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn ticks_begin_when_all_is_started_and_end_when_it_stops() {
    struct Ticking;
    #[crate::service]
    impl Ticking {
        #[every("50ms")]
        async fn tick(&self, log: State<Log>) {
            log.add("tick");
        }
    }
    let log = Log::default();
    let mut bench = Bench::started(|set| {
        set.state(log.clone());
        set.service(Ticking);
    })
    .await;
    tokio::time::sleep(Duration::from_millis(175)).await;
    assert_eq!(log.take().len(), 3);
    bench.stop().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((log.take().len(), tasks(&bench)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn timers_of_the_application_end_with_it() {
    struct Setting;
    #[crate::service]
    impl Setting {
        #[init]
        async fn set(&self, timers: Timers, log: State<Log>) -> Result<()> {
            timers.every(Duration::from_secs(1), move || {
                log.add("timer");
                async {}
            })?;
            Ok(())
        }
    }
    let log = Log::default();
    let mut bench = Bench::started(|set| {
        set.state(log.clone());
        set.service(Setting);
    })
    .await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(log.take().len(), 2);
    bench.stop().await;
    assert_eq!(tasks(&bench), 0);
}
