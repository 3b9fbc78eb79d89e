//! What happens to disks: there is no room, and what was written cannot be made safe.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::lives::Gaps;
use super::trio::Plans;
use super::{Ground, Scene, apart};
use crate::process::Group;
use crate::table::Seen;

/// The room of each disk: a few segments of the log, and snapshots.
const ROOM: &str = "size=96m";

/// How often a full disk is filled up again with what its member gave up.
const FILL_PAUSE: Duration = Duration::from_millis(20);

/// Writes that must succeed without the member, and again with it.
const WRITES_BETWEEN: usize = 300;

/// How long a member may take to end whose disk fails.
const END_TIME: Duration = Duration::from_secs(10);

/// What a member says to both.
const IS_FULL: &str = "the disk is full";
const STOPS: &str = "the member stops";
const EIO: &str = "os error 5";

/// The syscalls that make safe what was written.
const SYNCS: &str = "fsync,fdatasync";

/// Whether strace may look at a process that it has not started: it then runs until it is told to end.
const ATTACHES: &str =
    "sleep 9 & child=$!; timeout 1 strace -o /dev/null -p $child; code=$?; kill $child; test $code = 124";

/// Gives each member a small disk.
///
/// # Errors
///
/// When nothing may be mounted here.
pub(crate) fn prepare_full(ground: &Ground, plans: &mut Plans) -> Result<(), String> {
    if let Ground::Shared(why) = ground {
        return Err(format!("a disk of its own cannot be mounted: {why}"));
    }
    for plan in &plans.0 {
        let disk = plan.disk();
        fs::create_dir_all(&disk).map_err(|error| format!("cannot make {}: {error}", disk.display()))?;
        apart::run("mount", &["-t", "tmpfs", "-o", ROOM, "none", &disk.to_string_lossy()])?;
    }
    Ok(())
}

/// The disk of the leader is filled, then that of a follower. Either says so, the group goes on without it, and when there is room
/// again it goes on by itself.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn full(scene: &mut Scene<'_>) -> Result<Seen> {
    let mut gaps = Gaps::default();
    let (term, leader) = scene.trio.wait_leader_after(0)?;
    let since = scene.book.now();
    fill_for(scene, leader, |scene| {
        scene.trio.wait_said(leader, IS_FULL)?;
        scene.trio.wait_leader_after(term).context("the leader has no room").map(drop)
    })?;
    gaps.add(scene, since);

    let (_, leads_now) = scene.trio.wait_leader_after(term)?;
    let follower = scene.trio.others(leader).into_iter().find(|id| *id != leads_now);
    let follower = follower.context("nobody follows")?;
    let since = scene.book.now();
    fill_for(scene, follower, |scene| scene.trio.wait_said(follower, IS_FULL))?;
    gaps.add(scene, since);
    let detail = format!(
        "the leader's, who handed over, and a follower's; both said so and went on without a restart; {gaps}"
    );
    Ok(Seen { count: "2 disks".into(), detail })
}

/// Keeps the disk of a member full for a while, and until something is seen; then there is room, and the member must serve.
fn fill_for(scene: &Scene<'_>, id: u64, until: impl FnOnce(&Scene<'_>) -> Result<()>) -> Result<()> {
    let ballast = scene.trio.member(id)?.plan.disk().join("ballast");
    let is_over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let filling = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                fill(&ballast)?;
                thread::sleep(FILL_PAUSE);
            }
            Ok(())
        });
        let seen = until(scene).and_then(|()| {
            thread::sleep(scene.length / 5);
            scene.book.wait_more(WRITES_BETWEEN)
        });
        is_over.store(true, Ordering::Relaxed);
        let filled: Result<()> = filling.join().unwrap_or_else(|_| anyhow::bail!("filling panicked"));
        seen.and(filled)
    });
    fs::remove_file(&ballast).context("there is no ballast")?;
    seen?;
    scene.trio.wait_served(id)?;
    scene.book.wait_more(WRITES_BETWEEN)
}

/// Writes until there is no room for a byte.
fn fill(ballast: &Path) -> Result<()> {
    let mut file = File::options().create(true).append(true).open(ballast)?;
    for piece_len in [1 << 20, 4096, 1] {
        let piece = vec![0; piece_len];
        loop {
            match file.write(&piece) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("cannot fill the disk"),
            }
        }
    }
    Ok(())
}

/// Looks whether strace may do what it is to do.
///
/// # Errors
///
/// When it is not there, or may not.
pub(crate) fn prepare_eio(_: &Ground, _: &mut Plans) -> Result<(), String> {
    apart::run("strace", &["-o", "/dev/null", "-e", &inject(), "true"])?;
    apart::run("sh", &["-c", ATTACHES]).map_err(|why| format!("strace may not attach: {why}"))
}

fn inject() -> String {
    format!("inject={SYNCS}:error=EIO")
}

/// From some moment on nothing is made safe any more for the leader, then for a follower. Either ends and says why, the group goes on
/// without it, and started again on a disk that works it serves.
///
/// # Errors
///
/// When it does not hold.
pub(crate) fn eio(scene: &mut Scene<'_>) -> Result<Seen> {
    let mut gaps = Gaps::default();
    let (term, leader) = scene.trio.wait_leader_after(0)?;
    let mut took = Vec::new();
    let since = scene.book.now();
    took.push(fail_syncs(scene, leader)?);
    gaps.add(scene, since);

    let (_, leads_now) = scene.trio.wait_leader_after(term)?;
    let follower = scene.trio.others(leader).into_iter().find(|id| *id != leads_now);
    let follower = follower.context("nobody follows")?;
    scene.sleep_until(0.5);
    let since = scene.book.now();
    took.push(fail_syncs(scene, follower)?);
    gaps.add(scene, since);
    let detail = format!(
        "the leader's, then a follower's; each ended by itself with a report after {took:?} failed syncs, and served when started \
         again; {gaps}"
    );
    Ok(Seen { count: "2 disks".into(), detail })
}

/// How many syncs failed until the member ended.
fn fail_syncs(scene: &mut Scene<'_>, id: u64) -> Result<usize> {
    let trace = scene.trio.member(id)?.plan.dir.join("syncs");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", &format!("trace={SYNCS}"), "-e", &inject(), "-o"]).arg(&trace);
    strace.args(["-p", &scene.trio.member(id)?.pid()?.to_string()]);
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let strace = Group::spawn(strace)?;
    let ended_well = scene.trio.member_mut(id)?.wait_end(END_TIME)?;
    drop(strace);
    ensure!(!ended_well, "member {id} ended as if its disk were well");
    scene.trio.wait_said(id, STOPS)?;
    scene.trio.wait_said(id, EIO)?;
    let failed = fs::read_to_string(&trace)?.lines().filter(|line| line.contains("INJECTED")).count();
    ensure!(failed > 0, "member {id} ended before a sync failed");
    scene.book.wait_more(WRITES_BETWEEN)?;
    thread::sleep(scene.length / 10);
    scene.trio.member_mut(id)?.start()?;
    scene.trio.wait_served(id)?;
    scene.book.wait_more(WRITES_BETWEEN)?;
    Ok(failed)
}
