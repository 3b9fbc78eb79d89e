//! The load against servers in the same process, honest and not: it must see every answer, and every wrong one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use super::{broadcast, churn, echo, idle};
use crate::bare::{BareShard, listen};
use crate::dialect::{Dialect, Transport};
use crate::engine::Engine;
use crate::kernel::Meters;

const LIMIT: Duration = Duration::from_secs(20);

fn engine(target: SocketAddr, transport: Transport) -> Engine {
    Engine::new(target, Dialect { transport, is_raw: true }, LIMIT).unwrap()
}

fn meters() -> Meters {
    Meters::new(&[std::process::id()])
}

/// A shard of the peer `bare`, which lives as long as the test's process.
fn bare(transport: Transport) -> SocketAddr {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { BareShard::new(listener, transport).unwrap().run().await })
    });
    addr
}

/// A server of one TCP connection that answers each read with what `answer` makes of it.
fn one_connection(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&answer(&buffer[..len])).is_err() {
                break;
            }
        }
    });
    addr
}

fn short_echo(connections: usize, depth: u32) -> echo::EchoPlan {
    echo::EchoPlan { connections, depth, duration_ms: 100, warm_up_ms: 20 }
}

#[test]
fn an_honest_echo_loses_nothing_and_nothing_is_wrong() {
    for transport in [Transport::Tcp, Transport::Ws] {
        let mut engine = engine(bare(transport), transport);
        let report = echo::run(&mut engine, &meters(), short_echo(8, 16)).unwrap();
        assert_eq!((report.lost, report.wrong, report.failed), (Some(0), Some(0), 0), "{transport:?}");
        assert!(report.ops > Some(0) && report.server_cpu_us_per_op > Some(0.0), "{transport:?}");
    }
}

#[test]
fn a_changed_body_is_counted_as_wrong() {
    let addr = one_connection(|bytes| {
        let mut answer = bytes.to_vec();
        if let Some(last) = answer.last_mut() {
            *last ^= 1;
        }
        answer
    });
    let report = echo::run(&mut engine(addr, Transport::Tcp), &meters(), short_echo(1, 1)).unwrap();
    assert!(report.wrong > Some(0));
}

#[test]
fn a_request_without_an_answer_is_counted_as_lost() {
    let report =
        echo::run(&mut engine(one_connection(|_| Vec::new()), Transport::Tcp), &meters(), short_echo(1, 4));
    assert_eq!(report.unwrap().lost, Some(4));
}

#[test]
fn big_messages_come_back_whole_over_an_idle_run() {
    for transport in [Transport::Tcp, Transport::Ws] {
        let plan = idle::IdlePlan { connections: 20, warm_up: 10, settle_ms: 1 };
        let report = idle::run(&mut engine(bare(transport), transport), &meters(), plan).unwrap();
        assert_eq!(
            (report.connections, report.wrong, report.failed),
            (Some(20), Some(0), 0),
            "{transport:?}"
        );
    }
}

#[test]
fn churn_opens_every_connection_of_every_round() {
    let plan = churn::ChurnPlan { connections: 150, rounds: 3, settle_ms: 1 };
    let report = churn::run(&mut engine(bare(Transport::Ws), Transport::Ws), &meters(), plan).unwrap();
    assert_eq!((report.ops, report.failed), (Some(450), 0));
}

#[test]
fn deliveries_that_never_come_are_counted_as_lost() {
    // This server takes joins and bursts like any raw peer and sends them back, but broadcasts nothing.
    let plan = broadcast::BroadcastPlan { members: 3, burst: 5, rounds: 2, silence_ms: 20 };
    let report = broadcast::run(&mut engine(bare(Transport::Tcp), Transport::Tcp), &meters(), plan).unwrap();
    assert_eq!((report.ops, report.lost), (Some(0), Some(30)));
}
