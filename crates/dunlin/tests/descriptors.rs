//! Out of descriptors: accepting pauses without spinning and goes on when there are some again; a start that cannot have
//! enough leaves nothing behind. The server is a process of its own, because the limit is the process's.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it rules out fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dunlin::App;
use rustix::process::{Resource, Rlimit, setrlimit};

const ROLE: &str = "DUNLIN_TEST_ROLE";

/// Runs this very test binary with one of the roles below.
fn spawn(role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", role, "--nocapture", "--test-threads", "1"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn is_role(role: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|is| is == role)
}

fn limit_descriptors(count: u64) {
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: Some(count) }).unwrap();
}

fn line_with(reader: &mut impl BufRead, mark: &str) -> String {
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        if let Some(at) = line.find(mark) {
            return line[at + mark.len()..].trim().to_owned();
        }
        line.clear();
    }
    panic!("the child never said {mark}");
}

/// Processor time of a process in milliseconds.
fn cpu_ms(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks * 10
}

/// The role of a server that has few descriptors, until its input ends.
#[test]
fn serve_with_few_descriptors() {
    if !is_role("serve_with_few_descriptors") {
        return;
    }
    limit_descriptors(60);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let app = App::new().configure(|gate| {
            gate.shards = 1;
            // Else connections would be turned away before descriptors run out.
            gate.connections_max = Some(1000);
            gate.handshake_timeout = Duration::from_secs(60);
            gate.linger = Duration::from_millis(50);
        });
        let node = app.listen("127.0.0.1:0").start().await.unwrap();
        println!("serving on {}", node.addrs()[0]);
        let mut rest = Vec::new();
        tokio::task::spawn_blocking(move || std::io::stdin().read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(node.stop().await.is_clean);
    });
}

/// Sends the handshake; tells whether an answer comes in time.
fn is_served(stream: &mut TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    matches!(stream.read(&mut [0; 4096]), Ok(len) if len > 0)
}

#[test]
fn accepting_pauses_without_spinning_when_descriptors_run_out_and_recovers() {
    let mut child = spawn("serve_with_few_descriptors");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let addr = line_with(&mut output, "serving on ");
    let mut waiting: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&addr).unwrap();
            stream.write_all(b"\x01\x00\x00\x02{}").unwrap();
            stream
        })
        .collect();
    let mut rounds = Vec::new();
    let mut idle_cpu_ms = None;
    while !waiting.is_empty() {
        let (mut served, mut left) = (Vec::new(), Vec::new());
        for (at, mut stream) in waiting.into_iter().enumerate() {
            let patience = Duration::from_millis(if at == 0 { 5000 } else { 300 });
            if left.len() < 3 && is_served(&mut stream, patience) {
                served.push(stream);
            } else {
                left.push(stream);
            }
        }
        assert!(!served.is_empty(), "accepting never went on: {rounds:?}, {} wait", left.len());
        if idle_cpu_ms.is_none() {
            let before = cpu_ms(child.id());
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(2) {
                std::thread::sleep(Duration::from_millis(100));
            }
            idle_cpu_ms = Some(cpu_ms(child.id()) - before);
        }
        rounds.push(served.len());
        // Closing those that were served makes room for the next.
        drop(served);
        waiting = left;
    }
    let idle_cpu_ms = idle_cpu_ms.unwrap();
    println!(
        "served in rounds of {rounds:?}; {idle_cpu_ms} ms of processor time in 2 s without a descriptor"
    );
    assert!(rounds.len() >= 3 && rounds[0] < 60, "descriptors never ran out: {rounds:?}");
    assert!(idle_cpu_ms <= 200, "the server spins: {idle_cpu_ms} ms in 2 s");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// The role of a server whose shards cannot all have their descriptors.
#[test]
fn start_with_too_few_descriptors() {
    if !is_role("start_with_too_few_descriptors") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Enough for all listeners and some of the shards, whatever is open already.
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        limit_descriptors(open + 12 + 14);
        let app = App::new().configure(|gate| gate.shards = 12);
        let error = app.listen("127.0.0.1:0").start().await.unwrap_err();
        assert_eq!(error.to_string(), "a shard cannot run");
        let shards = || {
            let threads = std::fs::read_dir("/proc/self/task").unwrap();
            let names =
                threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
            names.filter(|name| name.starts_with("dunlin-shard")).count()
        };
        let start = Instant::now();
        while shards() > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "{} shards still run", shards());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("nothing is left");
    });
}

#[test]
fn a_start_that_fails_half_way_leaves_no_shard_running() {
    let child = spawn("start_with_too_few_descriptors");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("nothing is left"), "{said}");
}
