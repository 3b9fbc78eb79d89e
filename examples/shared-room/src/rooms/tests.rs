//! One order for all members, wherever they are, and what the death of an owner means.

use std::time::Duration;

use dunlin::{CallError, LocalClient, TestCluster};
use tokio::time::sleep;

use super::{ENTER_FIRST, Enter, Line, backend, gate};

async fn cluster() -> TestCluster {
    let mut cluster = TestCluster::new();
    for name in ["rooms-1", "rooms-2"] {
        cluster.start(name, backend()).await.unwrap();
    }
    for name in ["gate-1", "gate-2"] {
        cluster.start(name, gate()).await.unwrap();
    }
    cluster
}

async fn enter(client: &LocalClient, room: &str, name: &str) -> Vec<Line> {
    let enter = Enter { room: room.to_owned(), name: name.to_owned() };
    client.request("Rooms.enter", enter).await.unwrap()
}

async fn say(client: &LocalClient, text: &str) -> Result<u64, CallError> {
    client.request("Rooms.say", text).await
}

async fn next(client: &LocalClient) -> Line {
    client.expect().await.unwrap()
}

/// The backend that owns a room: the one that knows its only member.
fn owner(cluster: &TestCluster, member: &str) -> &'static str {
    let knows = |name: &&str| !cluster.node(name).sessions().of_uid(member).is_empty();
    ["rooms-1", "rooms-2"].into_iter().find(knows).unwrap()
}

#[tokio::test(start_paused = true)]
async fn members_on_two_gates_see_all_lines_in_one_order() {
    let cluster = cluster().await;
    let (ann, bob) = (cluster.connect("gate-1").await.unwrap(), cluster.connect("gate-2").await.unwrap());
    for room in ["pond", "garden", "attic", "cellar"] {
        enter(&ann, room, "ann").await;
        enter(&bob, room, "bob").await;
        for n in 0..20 {
            let (hers, his) = (format!("{room} {n}"), format!("{room} {n} too"));
            let (hers, his) = tokio::join!(say(&ann, &hers), say(&bob, &his));
            assert_eq!(hers.unwrap() + his.unwrap(), 4 * n + 3, "two numbers in a row, whose ever is first");
        }
        for number in 1..=40 {
            let line = next(&ann).await;
            assert_eq!((line.number, &line), (number, &next(&bob).await), "in {room}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_enters_later_is_told_what_was_said() {
    let cluster = cluster().await;
    let (ann, bob) = (cluster.connect("gate-1").await.unwrap(), cluster.connect("gate-2").await.unwrap());
    assert_eq!(enter(&ann, "pond", "ann").await, []);
    say(&ann, "is anybody there?").await.unwrap();
    let lines = enter(&bob, "pond", "bob").await;
    assert_eq!(lines, [next(&ann).await]);
}

#[tokio::test(start_paused = true)]
async fn when_an_owner_dies_rooms_of_the_other_go_on_and_its_own_begin_anew_there() {
    let mut cluster = cluster().await;
    let mut members: Vec<(LocalClient, String, &str)> = Vec::new();
    let owns_two = |members: &[(LocalClient, String, &str)], backend| {
        members.iter().filter(|(.., owner)| *owner == backend).count() >= 2
    };
    while !(owns_two(&members, "rooms-1") && owns_two(&members, "rooms-2")) {
        let n = members.len();
        let gate = if n.is_multiple_of(2) { "gate-1" } else { "gate-2" };
        let (client, name) = (cluster.connect(gate).await.unwrap(), format!("member-{n}"));
        enter(&client, &format!("room-{n}"), &name).await;
        assert_eq!(say(&client, "hello").await.unwrap(), 1);
        let owner = owner(&cluster, &name);
        members.push((client, name, owner));
    }

    cluster.kill("rooms-1");
    // The gates see it by their connections; what is asked in that moment is answered 503.
    sleep(Duration::from_secs(1)).await;
    for (n, (client, name, owner)) in members.iter().enumerate() {
        if *owner == "rooms-2" {
            assert_eq!(say(client, "still here").await.unwrap(), 2);
            continue;
        }
        let refused = say(client, "still here").await.unwrap_err();
        assert!(matches!(refused, CallError::Server { code: ENTER_FIRST, .. }), "{refused}");
        assert_eq!(enter(client, &format!("room-{n}"), name).await, []);
        assert_eq!(say(client, "a new beginning").await.unwrap(), 1);
    }
}
