//! Child processes in bounded time: every one leads a process group, and the whole group ends with it.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a running child is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A child whose group is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) child: Child,
}

/// What a child left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) is_success: bool,
    /// Whether it had to be ended because its time was over.
    pub(crate) is_late: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Group {
    /// Starts a child as the leader of a group of its own.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub(crate) fn spawn(mut command: Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.process_group(0).spawn().with_context(|| format!("cannot start `{program}`"))?;
        Ok(Self { child })
    }

    /// Waits for the child, and says whether it ended well; `None` when its time is over.
    ///
    /// # Errors
    ///
    /// When it cannot be watched.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Option<bool>> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.success()));
            }
            thread::sleep(LOOK);
        }
        Ok(None)
    }

    /// Ends the child and whatever it started.
    fn end(&mut self) {
        if self.signal("KILL").is_err() {
            // Without that program at least the leader is ended; one that is gone already is no fault.
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }

    /// Sends a signal to the child and whatever it started; to one that is gone, nothing happens.
    ///
    /// # Errors
    ///
    /// When signals cannot be sent here.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        // A group can only be addressed by a signal, and the standard library sends none.
        let (signal, group) = (format!("-{name}"), format!("-{}", self.child.id()));
        let mut kill = Command::new("kill");
        kill.args([&signal, "--", &group]).stdout(Stdio::null()).stderr(Stdio::null());
        kill.status().context("cannot run `kill`")?;
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a child to its end, or to the end of its time, and collects what it prints.
///
/// # Errors
///
/// When the program cannot be started or watched.
pub(crate) fn run(mut command: Command, limit: Duration) -> Result<Finished> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let stdout = collect(group.child.stdout.take());
    let stderr = collect(group.child.stderr.take());
    let status = group.wait(limit)?;
    // The pipes end with the last process that holds them, thus the group goes first.
    drop(group);
    let (Ok(stdout), Ok(stderr)) = (stdout.join(), stderr.join()) else { bail!("a reader panicked") };
    Ok(Finished { is_success: status == Some(true), is_late: status.is_none(), stdout, stderr })
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before a read fails is still worth showing.
            drop(pipe.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::run;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_late_child_ends_with_everything_it_started() {
        let start = Instant::now();
        let finished = run(shell("echo begun; sleep 60 & sleep 60"), Duration::from_millis(300)).unwrap();
        assert!(finished.is_late && !finished.is_success);
        assert_eq!(finished.stdout, "begun\n");
        // Both sleepers held the pipe; it has ended, so they have.
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_child_that_ends_in_time_is_judged_by_its_status() {
        let limit = Duration::from_secs(30);
        let good = run(shell("echo out; echo err >&2"), limit).unwrap();
        assert!(good.is_success && !good.is_late);
        assert_eq!((good.stdout.as_str(), good.stderr.as_str()), ("out\n", "err\n"));
        let bad = run(shell("exit 3"), limit).unwrap();
        assert!(!bad.is_success && !bad.is_late);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(Command::new("no-such-program-here"), Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"));
    }
}
