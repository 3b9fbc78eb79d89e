//! What a player may rely on, with time that is paused.

use std::time::Duration;

use dunlin::{App, CallError, LocalClient};
use tokio::time::{Instant, sleep};

use super::{End, Move, NO_SUCH_MOVE, NOT_YOUR_TURN, STONES, TABLE_TAKEN, TURN_TIME, Turn, app};

/// What an answer of nothing is read as.
type Nothing = serde::de::IgnoredAny;

async fn sit(app: &App, name: &str) -> LocalClient {
    let client = app.connect().await.unwrap();
    client.request::<Nothing>("Table.sit", name).await.unwrap();
    client
}

async fn take(client: &LocalClient, turn: u32, stones: u32) -> Result<Nothing, CallError> {
    client.request("Table.take", Move { turn, stones }).await
}

fn code<T>(answer: &Result<T, CallError>) -> Option<u32> {
    match answer {
        Err(CallError::Server { code, .. }) => Some(*code),
        _ => None,
    }
}

/// Who is to move first: `bob` sat down last, and each of the two was told.
async fn begun() -> (App, LocalClient, LocalClient) {
    let app = app();
    let (ann, bob) = (sit(&app, "ann").await, sit(&app, "bob").await);
    for player in [&ann, &bob] {
        let turn: Turn = player.expect().await.unwrap();
        assert_eq!((turn.turn, turn.player.as_str(), turn.stones_left), (1, "bob", STONES));
    }
    (app, ann, bob)
}

#[tokio::test(start_paused = true)]
async fn of_three_moves_at_once_one_counts_and_the_others_are_refused() {
    let (_app, ann, bob) = begun().await;
    let (other, first, again) = tokio::join!(take(&ann, 1, 1), take(&bob, 1, 2), take(&bob, 1, 3));
    assert_eq!(code(&other), Some(NOT_YOUR_TURN), "it is the other's turn");
    assert!(first.is_ok(), "{first:?}");
    assert_eq!(code(&again), Some(NOT_YOUR_TURN), "the turn that it names is over");
    let turn: Turn = ann.expect().await.unwrap();
    assert_eq!((turn.turn, turn.player.as_str(), turn.stones_left), (2, "ann", STONES - 2));
}

#[tokio::test(start_paused = true)]
async fn a_move_that_comes_twice_is_not_taken_for_the_next_turn() {
    let (_app, ann, bob) = begun().await;
    take(&bob, 1, 1).await.unwrap();
    take(&ann, 2, 1).await.unwrap();
    assert_eq!(code(&take(&bob, 1, 1).await), Some(NOT_YOUR_TURN));
    take(&bob, 3, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_player_who_is_late_loses_the_turn_and_a_move_that_comes_later_is_refused() {
    let (_app, ann, bob) = begun().await;
    let begun_at = Instant::now();
    sleep(TURN_TIME - Duration::from_secs(1)).await;
    assert!(ann.try_push().is_none(), "there is a second left");
    let turn: Turn = ann.expect().await.unwrap();
    assert_eq!((turn.turn, turn.player.as_str(), turn.stones_left), (2, "ann", STONES));
    assert!(begun_at.elapsed() < TURN_TIME + Duration::from_millis(200), "{:?}", begun_at.elapsed());
    assert_eq!(code(&take(&bob, 1, 1).await), Some(NOT_YOUR_TURN));
    take(&ann, 2, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_player_who_leaves_ends_the_game_for_the_other_and_the_table_is_free() {
    let (app, ann, bob) = begun().await;
    bob.close().await;
    let end: End = ann.expect().await.unwrap();
    assert_eq!((end.winner.as_str(), end.has_other_left), ("ann", true));
    assert_eq!(code(&take(&ann, 2, 1).await), Some(NOT_YOUR_TURN), "there is no game");
    let (cid, _dan) = (sit(&app, "cid").await, sit(&app, "dan").await);
    assert_eq!(cid.expect::<Turn>().await.unwrap().turn, 1);
    assert!(ann.try_push().is_none(), "who sits there no more is told nothing");
}

#[tokio::test(start_paused = true)]
async fn who_takes_the_last_stone_wins() {
    let (_app, ann, bob) = begun().await;
    for turn in 1..=STONES / 3 {
        let mover = if turn % 2 == 1 { &bob } else { &ann };
        take(mover, turn, 3).await.unwrap();
    }
    for player in [&ann, &bob] {
        let end: End = player.expect().await.unwrap();
        assert_eq!((end.winner.as_str(), end.has_other_left), ("bob", false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_player_and_a_move_that_there_is_not_are_refused() {
    let (app, _ann, bob) = begun().await;
    let cid = app.connect().await.unwrap();
    assert_eq!(code(&cid.request::<Nothing>("Table.sit", "cid").await), Some(TABLE_TAKEN));
    for stones in [0, 4] {
        assert_eq!(code(&take(&bob, 1, stones).await), Some(NO_SUCH_MOVE), "{stones} stones");
    }
}
