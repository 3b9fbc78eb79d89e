//! Tests of timers, on paused time.

use std::sync::atomic::AtomicUsize;

use tokio::time::advance;

use super::*;

fn counter() -> (Arc<AtomicUsize>, impl Fn() -> usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let read = count.clone();
    (count, move || read.load(Ordering::SeqCst))
}

async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn add_one(count: &Arc<AtomicUsize>) -> impl Fn() -> std::future::Ready<()> + Send + 'static {
    let count = count.clone();
    move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(())
    }
}

#[tokio::test(start_paused = true)]
async fn after_fires_once_and_not_early() {
    let set = TimerSet::default();
    let (count, fired) = counter();
    let timer = set.timers().after(Duration::from_secs(2), add_one(&count)).unwrap();
    settle().await;
    advance(Duration::from_millis(1_999)).await;
    settle().await;
    assert_eq!(fired(), 0);
    assert!(timer.is_set());
    advance(Duration::from_secs(60)).await;
    settle().await;
    assert_eq!(fired(), 1);
    assert!(!timer.is_set());
    assert_eq!(set.timers().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_fires_each_period_until_stopped() {
    let set = TimerSet::default();
    let (count, fired) = counter();
    let timer = set.timers().every(Duration::from_millis(50), add_one(&count)).unwrap();
    settle().await;
    for _ in 0..3 {
        advance(Duration::from_millis(50)).await;
        settle().await;
    }
    assert_eq!(fired(), 3);
    timer.stop();
    settle().await;
    advance(Duration::from_secs(1)).await;
    settle().await;
    assert_eq!(fired(), 3);
    assert_eq!(set.timers().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn firings_that_were_missed_are_left_out() {
    let set = TimerSet::default();
    let (count, fired) = counter();
    set.timers().every(Duration::from_millis(50), add_one(&count)).unwrap();
    settle().await;
    advance(Duration::from_millis(500)).await;
    settle().await;
    assert_eq!(fired(), 1);
}

#[tokio::test(start_paused = true)]
async fn timers_end_with_their_owner() {
    let set = TimerSet::default();
    let (count, fired) = counter();
    set.timers().after(Duration::from_secs(1), add_one(&count)).unwrap();
    set.timers().every(Duration::from_secs(1), add_one(&count)).unwrap();
    let timers = set.timers().clone();
    settle().await;
    drop(set);
    settle().await;
    advance(Duration::from_secs(5)).await;
    settle().await;
    assert_eq!((fired(), timers.count()), (0, 0));
    assert_eq!(timers.after(Duration::ZERO, add_one(&count)).unwrap_err(), TimerError::Ended);
}

#[tokio::test(start_paused = true)]
async fn stopping_a_timer_does_not_cut_what_it_is_doing() {
    let set = TimerSet::default();
    let (count, fired) = counter();
    set.timers()
        .every(Duration::from_secs(1), move || {
            let count = count.clone();
            async move {
                sleep(Duration::from_secs(10)).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        })
        .unwrap();
    settle().await;
    advance(Duration::from_secs(1)).await;
    settle().await;
    drop(set);
    advance(Duration::from_secs(10)).await;
    settle().await;
    assert_eq!(fired(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_does_not_stop_a_repeating_timer() {
    let set = TimerSet::default();
    let (count, fired) = counter();
    let add = add_one(&count);
    set.timers()
        .every(Duration::from_secs(1), move || {
            let added = add();
            async move {
                added.await;
                panic!("on purpose");
            }
        })
        .unwrap();
    settle().await;
    for _ in 0..2 {
        advance(Duration::from_secs(1)).await;
        settle().await;
    }
    assert_eq!(fired(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_cannot_pile_up_timers_without_end() {
    let set = TimerSet::default();
    for _ in 0..SESSION_TIMERS_MAX {
        set.timers().after(Duration::from_secs(1), std::future::pending).unwrap();
    }
    let refused = set.timers().after(Duration::from_secs(1), std::future::pending);
    assert_eq!(refused.unwrap_err(), TimerError::TooMany { timers_max: SESSION_TIMERS_MAX });
}

#[tokio::test(start_paused = true)]
async fn application_timers_are_waited_for_at_the_end() {
    let tasks = Tasks::default();
    let timers = Timers::new(APP_TIMERS_MAX, Some(tasks.clone()));
    timers.every(Duration::from_secs(1), || std::future::ready(())).unwrap();
    timers.end();
    assert_eq!(tasks.end(Instant::now() + Duration::from_secs(1)).await, 0);
}

#[test]
fn a_timer_without_a_runtime_is_a_typed_error() {
    let set = TimerSet::default();
    let refused = set.timers().after(Duration::ZERO, std::future::pending);
    assert_eq!(refused.unwrap_err(), TimerError::NoRuntime);
    assert_eq!(set.timers().every(Duration::ZERO, std::future::pending).unwrap_err(), TimerError::ZeroPeriod);
    assert_eq!(set.timers().count(), 0);
}
