//! The kernel's own account of the server: processor time over all threads in nanoseconds, and resident memory.
//!
//! Linux only: both figures are read from `/proc`. Processor time comes from the scheduler (`schedstat`), whose
//! resolution is nanoseconds; where a thread ended in between, the coarser account of the whole process is used.

use std::collections::HashMap;
use std::{fs, io};

/// Length of a tick in `/proc/PID/stat`.
const TICK_NS: u64 = 10_000_000;

/// Reads the figures of one process.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    pid: u32,
}

/// Processor time used so far.
#[derive(Debug)]
pub struct CpuSample {
    threads: HashMap<String, u64>,
    ticks_ns: u64,
}

impl Meter {
    /// A meter of this process.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Processor time so far, user and system, of all threads.
    ///
    /// # Errors
    ///
    /// When the process is gone or `/proc` is not there.
    pub fn cpu(self) -> io::Result<CpuSample> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let entry = entry?;
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let run_ns = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
            threads.insert(entry.file_name().to_string_lossy().into_owned(), run_ns);
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The second field is the name in parentheses and may hold spaces; user and system time are 14 and 15.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        Ok(CpuSample { threads, ticks_ns: ticks * TICK_NS })
    }

    /// Resident memory in bytes, counted exactly by walking the page tables.
    ///
    /// # Errors
    ///
    /// When the process is gone or `/proc` is not there.
    pub fn rss(self) -> io::Result<u64> {
        self.kib("smaps_rollup", "Rss:")
    }

    /// The most resident memory in bytes since [`Meter::forget_peak`], or since the process began.
    ///
    /// # Errors
    ///
    /// When the process is gone or `/proc` is not there.
    pub fn peak(self) -> io::Result<u64> {
        self.kib("status", "VmHWM:")
    }

    /// Lets the peak begin anew with what is resident now.
    ///
    /// # Errors
    ///
    /// When the process is gone, somebody else's, or `/proc` is not there.
    pub fn forget_peak(self) -> io::Result<()> {
        // What the digit means stands in proc(5).
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5")
    }

    fn kib(self, file: &str, name: &str) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib =
            line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("no {name} line in {file}")))
    }
}

/// Reads the figures of processes that are one server together, such as a gate and a backend.
#[derive(Debug, Clone)]
pub struct Meters(Vec<Meter>);

impl Meters {
    /// Meters of these processes.
    #[must_use]
    pub fn new(pids: &[u32]) -> Self {
        Self(pids.iter().copied().map(Meter::new).collect())
    }

    /// Processor time so far of each.
    ///
    /// # Errors
    ///
    /// When a process is gone or `/proc` is not there.
    pub fn cpu(&self) -> io::Result<Vec<CpuSample>> {
        self.0.iter().map(|meter| meter.cpu()).collect()
    }

    /// Nanoseconds of processor time of each from `earlier` until now.
    ///
    /// # Errors
    ///
    /// When a process is gone or `/proc` is not there.
    pub fn cpu_since(&self, earlier: &[CpuSample]) -> io::Result<Vec<u64>> {
        let now = self.cpu()?;
        Ok(now.iter().zip(earlier).map(|(now, earlier)| now.since(earlier)).collect())
    }

    /// Resident memory of all in bytes.
    ///
    /// # Errors
    ///
    /// When a process is gone or `/proc` is not there.
    pub fn rss(&self) -> io::Result<u64> {
        self.0.iter().map(|meter| meter.rss()).sum()
    }
}

impl CpuSample {
    /// Nanoseconds of processor time from `earlier` to this sample.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> u64 {
        let by_ticks = self.ticks_ns.saturating_sub(earlier.ticks_ns);
        if earlier.threads.keys().any(|thread| !self.threads.contains_key(thread)) {
            return by_ticks;
        }
        let now: u64 = self.threads.values().sum();
        now.saturating_sub(earlier.threads.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ended_is_counted_by_ticks() {
        let sample = |threads: &[(&str, u64)], ticks_ns| CpuSample {
            threads: threads.iter().map(|(name, ns)| ((*name).to_owned(), *ns)).collect(),
            ticks_ns,
        };
        let earlier = sample(&[("1", 100), ("2", 50)], 0);
        assert_eq!(sample(&[("1", 300), ("2", 60), ("3", 5)], TICK_NS).since(&earlier), 215);
        assert_eq!(sample(&[("1", 300)], TICK_NS).since(&earlier), TICK_NS);
    }
}
