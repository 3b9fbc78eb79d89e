//! What a run found out, for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Kind;
use super::chart::{Chart, shown};
use super::plan::Plan;
use super::tally::Tally;

/// The quantiles that are shown, and their names.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// What a run found out.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) url: &'a str,
    pub(super) plan: &'a Plan,
    pub(super) tally: &'a Tally,
}

impl Report<'_> {
    /// Whether nothing was lost on the way.
    pub(super) fn is_whole(&self) -> bool {
        self.tally.lost() == 0 && self.tally.dropped == 0
    }

    /// Answers, or notifications, a second while it was measured.
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    fn rate(&self) -> f64 {
        let count = if self.plan.kind == Kind::Notify { self.tally.sent } else { self.tally.came };
        count as f64 / self.plan.duration.as_secs_f64()
    }

    /// All figures as one object. Times are in microseconds.
    pub(super) fn json(&self) -> Value {
        let Self { url, plan, tally } = self;
        let mut errors: serde_json::Map<String, Value> =
            tally.errors.iter().map(|(code, count)| (code.to_string(), (*count).into())).collect();
        if tally.other_errors > 0 {
            errors.insert("other".to_owned(), tally.other_errors.into());
        }
        let mut latency = serde_json::Map::new();
        for (name, quantile) in QUANTILES {
            latency.insert(name.to_owned(), tally.times_us.value_at_quantile(quantile).into());
        }
        latency.insert("max".to_owned(), tally.times_us.max().into());
        latency.insert("mean".to_owned(), tally.times_us.mean().round().into());
        let has_times = !tally.times_us.is_empty();
        json!({
            "url": url,
            "kind": plan.kind.name(),
            "route": plan.route,
            "clients": plan.clients,
            "in_flight": plan.in_flight,
            "rate_wanted": plan.schedule.map(|schedule| schedule.rate),
            "seconds": plan.duration.as_secs_f64(),
            "sent": tally.sent,
            "answered": tally.answered,
            "rate": (self.rate() * 10.0).round() / 10.0,
            "errors": errors,
            "timed_out": tally.timed_out,
            "disconnected": tally.disconnected,
            "unsent": tally.unsent,
            "clients_dropped": tally.dropped,
            "pushes": tally.pushes,
            "body_bytes_out": tally.bytes_out,
            "body_bytes_in": tally.bytes_in,
            "latency_us": has_times.then_some(latency),
        })
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, plan, .. } = self;
        let clients = counted(plan.clients.into(), "client", "clients");
        let kind = plan.kind.name();
        match (plan.kind, plan.schedule) {
            (Kind::Idle, _) => writeln!(f, "{url}: {clients}, idle")?,
            (_, Some(schedule)) => writeln!(
                f,
                "{url}: {clients}, {kind} {}, {} a second whatever happens",
                plan.route, schedule.rate
            )?,
            (Kind::Notify, None) => {
                writeln!(f, "{url}: {clients}, {kind} {}, as many as the connections take", plan.route)?;
            }
            (_, None) => writeln!(
                f,
                "{url}: {clients}, {kind} {}, {} at a time each, the next when one is done",
                plan.route, plan.in_flight
            )?,
        }
        row(f, "measured", format_args!("{} after {} of warm-up", shown(plan.duration), shown(plan.warmup)))
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, tally, .. } = self;
        let rate = self.rate();
        match plan.kind {
            Kind::Request => {
                row(
                    f,
                    "answers",
                    format_args!("{} of {} requests, {rate:.1} a second", tally.answered, tally.sent),
                )?;
                row(f, "errors", Errors(tally))?;
                let lost = Lost(tally);
                row(f, "lost", lost)?;
            }
            Kind::Notify => {
                row(
                    f,
                    "sent",
                    format_args!("{}, {rate:.1} a second; nobody says what came of them", tally.sent),
                )?;
                row(f, "lost", Lost(tally))?;
            }
            Kind::Idle => {}
        }
        if tally.unsent > 0 {
            let unsent = tally.unsent;
            row(
                f,
                "unsent",
                format_args!("{unsent} that were due: {} of each client were unanswered", plan.in_flight),
            )?;
        }
        let held = u64::from(plan.clients).saturating_sub(tally.dropped);
        row(f, "clients", format_args!("{held} of {} were there to the end", plan.clients))?;
        row(f, "bodies", format_args!("{} out, {} in", bytes(tally.bytes_out), bytes(tally.bytes_in)))?;
        row(f, "pushes", tally.pushes)
    }

    fn write_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = &self.tally.times_us;
        if times.is_empty() {
            return Ok(());
        }
        let time = |us| shown(Duration::from_micros(us));
        let mut line = String::new();
        for (name, quantile) in QUANTILES {
            line.push_str(&format!("{name} {}   ", time(times.value_at_quantile(quantile))));
        }
        let since = if self.plan.schedule.is_some() { "when it was to be sent" } else { "when it was sent" };
        row(f, "latency", format_args!("{line}max {}", time(times.max())))?;
        writeln!(f, "\n  from {since} to the answer:\n\n{}", Chart(times))
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_counts(f)?;
        self.write_times(f)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<9} {value}")
}

struct Errors<'a>(&'a Tally);

impl fmt::Display for Errors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { errors, other_errors, .. } = self.0;
        if errors.is_empty() {
            return write!(f, "none");
        }
        let mut parts: Vec<String> =
            errors.iter().map(|(code, count)| format!("{count} with code {code}")).collect();
        if *other_errors > 0 {
            parts.push(format!("{other_errors} with other codes"));
        }
        write!(f, "{}", parts.join(", "))
    }
}

struct Lost<'a>(&'a Tally);

impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { timed_out, disconnected, .. } = self.0;
        match (timed_out, disconnected) {
            (0, 0) => write!(f, "none"),
            _ => write!(f, "{timed_out} not answered in time, {disconnected} whose connection ended"),
        }
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[expect(clippy::cast_precision_loss, reason = "an amount is rounded anyway")]
fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::schedule::Schedule;
    use crate::bench::tally::Outcome;

    fn plan(kind: Kind) -> Plan {
        Plan {
            kind,
            route: "Echo.ping".to_owned(),
            body: bytes::Bytes::from_static(b"{}"),
            clients: 2,
            in_flight: 1,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(10),
            schedule: None,
        }
    }

    fn tally() -> Tally {
        let mut tally = Tally::new().unwrap();
        for ms in 1..=100 {
            tally.send(2);
            tally.came += 1;
            tally.end(Outcome::Answered { len: 2 }, Duration::from_millis(ms), true);
        }
        tally
    }

    #[test]
    fn a_run_without_losses_is_whole_and_one_with_any_is_not() {
        let (plan, mut tally) = (plan(Kind::Request), tally());
        let is_whole = |tally: &Tally| Report { url: "ws://a/", plan: &plan, tally }.is_whole();
        tally.end(Outcome::Refused { code: 404 }, Duration::ZERO, true);
        assert!(is_whole(&tally), "an error is an answer");
        tally.end(Outcome::TimedOut, Duration::ZERO, true);
        assert!(!is_whole(&tally));
        tally.timed_out = 0;
        tally.dropped = 1;
        assert!(!is_whole(&tally));
    }

    #[test]
    fn the_json_has_every_figure() {
        let (plan, tally) = (plan(Kind::Request), tally());
        let json = Report { url: "ws://a/", plan: &plan, tally: &tally }.json();
        assert_eq!((&json["rate"], &json["answered"]), (&json!(10.0), &json!(100)));
        assert_eq!((&json["latency_us"]["p50"], &json["errors"]), (&json!(50015), &json!({})));
        let idle = Report { url: "ws://a/", plan: &plan, tally: &Tally::new().unwrap() }.json();
        assert_eq!(idle["latency_us"], Value::Null);
    }

    #[test]
    fn the_text_says_what_was_done_and_what_came_of_it() {
        let (mut plan, mut tally) = (plan(Kind::Request), tally());
        insta::assert_snapshot!(Report { url: "ws://a/", plan: &plan, tally: &tally });
        plan.schedule = Some(Schedule { rate: 50, clients: 2 });
        tally.end(Outcome::Refused { code: 503 }, Duration::from_millis(2), true);
        tally.end(Outcome::TimedOut, Duration::ZERO, true);
        (tally.unsent, tally.dropped) = (7, 1);
        insta::assert_snapshot!(Report { url: "ws://a/", plan: &plan, tally: &tally });
        for kind in [Kind::Notify, Kind::Idle] {
            let tally = Tally { sent: 3, ..Tally::new().unwrap() };
            insta::assert_snapshot!(Report { url: "ws://a/", plan: &self::plan(kind), tally: &tally });
        }
    }
}
