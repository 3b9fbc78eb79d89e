//! Any schedule of what a network may do: the bytes that arrive are the same.

use proptest::prelude::*;

use super::rig::{Rig, Told, framed, request, told, unframed};
use super::script::event;
use crate::edge::SlotKey;
use crate::edge::net::Event;

const LINES: usize = 3;
/// The line that speaks WebSocket.
const WEBSOCKET: usize = 1;
const ROUTES: [&str; 4] = ["Echo.now", "Wait.turn", "Wait.free", "Push.len"];

#[derive(Debug, Clone)]
enum Step {
    Request {
        line: usize,
        route: usize,
        len: usize,
    },
    Burst {
        line: usize,
        count: usize,
    },
    Push {
        line: usize,
        len: usize,
    },
    Pieces {
        line: usize,
        read_max: usize,
        write_max: usize,
    },
    Room {
        line: usize,
        len: usize,
    },
    Permit(usize),
    Turns(usize),
    Noise {
        index: u32,
        generation: u32,
        is_readable: bool,
        is_writable: bool,
        is_lost: bool,
    },
    /// News about a live connection that nothing happened for.
    Echo {
        line: usize,
        is_readable: bool,
        is_writable: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let line = 0..LINES;
    prop_oneof![
        4 => (line.clone(), 0..ROUTES.len(), 0_usize..5000)
            .prop_map(|(line, route, len)| Step::Request { line, route, len }),
        1 => (line.clone(), 1_usize..300).prop_map(|(line, count)| Step::Burst { line, count }),
        2 => (line.clone(), 0_usize..200_000).prop_map(|(line, len)| Step::Push { line, len }),
        2 => (line.clone(), 1_usize..2000, 1_usize..2000)
            .prop_map(|(line, read_max, write_max)| Step::Pieces { line, read_max, write_max }),
        3 => (line.clone(), prop_oneof![Just(0), 1_usize..100, 1_usize..400_000])
            .prop_map(|(line, len)| Step::Room { line, len }),
        2 => (1_usize..20).prop_map(Step::Permit),
        4 => (1_usize..4).prop_map(Step::Turns),
        1 => (0_u32..6, 1_u32..3, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(index, generation, is_readable, is_writable, is_lost)| Step::Noise {
                index, generation, is_readable, is_writable, is_lost
            }
        ),
        1 => (line, any::<bool>(), any::<bool>())
            .prop_map(|(line, is_readable, is_writable)| Step::Echo { line, is_readable, is_writable }),
    ]
}

/// What a socket that takes nothing may leave behind besides pushes: what one turn gathers, and the last answer of it.
const UNSENT_MAX: usize = 256 * 1024 + 210_000;

/// What was asked of one line.
#[derive(Default)]
struct Asked {
    /// Route and payload of each request; its id is its place.
    requests: Vec<(usize, Vec<u8>)>,
    pushes: Vec<Vec<u8>>,
}

impl Asked {
    fn request(&mut self, route: usize, len: usize) -> Vec<u8> {
        let id = self.requests.len();
        // Payloads differ, so that none can stand for another.
        let payload = format!("{len}").into_bytes();
        let payload = if route == 3 { payload } else { [payload, vec![b'.'; len]].concat() };
        self.requests.push((route, payload.clone()));
        request(id as u64, ROUTES[route], &payload)
    }
}

fn run(steps: Vec<Step>) {
    let mut rig = Rig::with(|app| app.configure(|gate| gate.unanswered_max = 8));
    let open = |line| if line == WEBSOCKET { rig.open_websocket() } else { rig.open() };
    let lines: Vec<usize> = (0..LINES).map(open).collect();
    let wrap = |line: usize, packets: Vec<u8>| if line == WEBSOCKET { framed(&packets) } else { packets };
    let mut asked: Vec<Asked> = (0..LINES).map(|_| Asked::default()).collect();
    for line in &lines {
        // From here on sockets take only what they are given room for.
        rig.script.line(*line, |line| line.room = 0);
    }
    for step in steps {
        match step {
            Step::Request { line, route, len } => {
                rig.script.send(line, &wrap(line, asked[line].request(route, len)));
            }
            Step::Burst { line, count } => {
                let burst: Vec<u8> = (0..count).flat_map(|_| asked[line].request(0, 10)).collect();
                rig.script.send(line, &wrap(line, burst));
            }
            Step::Push { line, len } => {
                let payload =
                    [format!("{}:", asked[line].pushes.len()).into_bytes(), vec![b'p'; len]].concat();
                rig.session(line).push_raw("onPush", payload.clone()).unwrap();
                asked[line].pushes.push(payload);
            }
            Step::Pieces { line, read_max, write_max } => {
                rig.script.line(line, |line| (line.read_max, line.write_max) = (read_max, write_max));
            }
            Step::Room { line, len } => rig.script.give_room(line, len),
            Step::Permit(count) => rig.desk.permits.add(count),
            Step::Turns(count) => {
                for _ in 0..count {
                    rig.turn();
                    for line in &lines {
                        // Pushes may be taken out of their queue, all of them, before an answer.
                        let pushed: usize = asked[*line].pushes.iter().map(Vec::len).sum();
                        assert!(rig.unsent(*line) <= pushed + UNSENT_MAX, "output is bounded");
                    }
                }
            }
            Step::Noise { index, generation, is_readable, is_writable, is_lost } => {
                let noise = event(SlotKey { index, generation }, is_readable, is_writable);
                rig.script.tell(Event { is_lost, is_closed: is_lost, ..noise });
            }
            Step::Echo { line, is_readable, is_writable } => {
                let key = rig.script.line(line, |line| line.key).expect("it is open");
                rig.script.tell(event(key, is_readable, is_writable));
            }
        }
    }
    rig.desk.permits.add(1_000_000);
    for line in &lines {
        rig.script.give_room(*line, usize::MAX);
    }
    rig.settle();
    for (line, asked) in lines.into_iter().zip(asked) {
        assert!(rig.is_open(line));
        let output = rig.script.take_output(line);
        check(&asked, &told(&if line == WEBSOCKET { unframed(output) } else { output }));
    }
}

/// Each request has one answer, ordered ones in order; pushes are whole and in order; what a handler pushed came before
/// its answer.
fn check(asked: &Asked, told: &[Told]) {
    let (mut ordered, mut free, mut notes) = (Vec::new(), Vec::new(), 0);
    let mut pushes = asked.pushes.iter();
    for told in told {
        match told {
            Told::Push(payload) if payload.starts_with(b"n") => notes += 1,
            Told::Push(payload) => {
                assert!(pushes.next().is_some_and(|push| push == payload), "a push is not next");
            }
            Told::Answer(id, payload) => {
                let (route, sent) = &asked.requests[usize::try_from(*id).unwrap()];
                assert!(sent == payload, "an answer is not the request's");
                if *route == 3 {
                    let len: usize = std::str::from_utf8(sent).unwrap().parse().unwrap();
                    assert_eq!(notes, len / 1000, "pushed before the answer");
                    notes = 0;
                }
                if *route == 2 {
                    free.push(*id);
                } else {
                    ordered.push(*id);
                };
            }
        }
    }
    assert_eq!(pushes.next(), None, "a push is missing");
    let ids = |is_free: bool| {
        let of_kind =
            asked.requests.iter().enumerate().filter(move |(_, (route, _))| (*route == 2) == is_free);
        of_kind.map(|(id, _)| id as u64).collect::<Vec<_>>()
    };
    assert_eq!(ordered, ids(false));
    free.sort_unstable();
    assert_eq!(free, ids(true));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_schedule_delivers_the_same_bytes_in_order_and_one_answer_for_each_request(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { run(steps) });
    }
}
