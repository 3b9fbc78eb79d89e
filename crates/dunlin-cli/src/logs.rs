//! What is written to stderr while it runs: lines for people or for programs, so many of each kind and no longer than they
//! may be, at a level that can change.
//!
//! `logs/line.rs` is a line and its forms, `logs/budget.rs` how many there may be; both are pure.

mod budget;
mod line;
#[cfg(feature = "otel")]
mod traces;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{IsTerminal as _, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use self::budget::{Budgets, HeldBack};
use self::line::{Line, Said, text_of};

/// Whom lines are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// People, with colours on a terminal.
    #[default]
    Human,
    /// Programs: an object of JSON on each line.
    Json,
}

/// Why nothing can be logged so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The level is none.
    #[error(
        "`{level}` is no level of logs; write a level such as info, or as in RUST_LOG: dunlin=debug,info"
    )]
    Level {
        /// What was asked for.
        level: String,
        /// Why not.
        source: ParseError,
    },
    /// There are logs already.
    #[error("the process has logs already")]
    Taken(#[from] TryInitError),
    /// Traces cannot be sent.
    #[cfg(feature = "otel")]
    #[error("traces cannot be sent to {collector}")]
    Traces {
        /// Where they were to go.
        collector: String,
        /// Why not.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Nobody logs any more.
    #[error("there are no logs any more")]
    Gone(#[from] reload::Error),
}

/// Changes what is logged while it runs.
#[derive(Debug, Clone)]
pub(crate) struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
}

impl LogHandle {
    /// Logs from now on what is of this level, written as in `RUST_LOG`.
    ///
    /// # Errors
    ///
    /// [`LogError`] when it is none; then the level stays as it was.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), LogError> {
        Ok(self.filter.reload(filter(level)?)?)
    }

    /// Sends the traces that wait, at the end.
    pub(crate) fn send_rest(&self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = &self.traces {
            traces.send_rest();
        }
    }
}

/// Writes logs to stderr from now on, so that stdout has what was asked for and nothing else, and sends traces, of the node of this name, to
/// a collector if there is one.
///
/// # Errors
///
/// [`LogError`].
pub(crate) fn init(format: Format, level: &str, traces: Option<(&str, &str)>) -> Result<LogHandle, LogError> {
    let (subscriber, filter) = subscriber(format, level, stderr().is_terminal(), stderr)?;
    #[cfg(feature = "otel")]
    {
        let traces = traces.map(|(collector, node)| traces::Traces::new(collector, node)).transpose()?;
        subscriber.with(traces.as_ref().map(traces::Traces::layer)).try_init()?;
        Ok(LogHandle { filter, traces })
    }
    #[cfg(not(feature = "otel"))]
    {
        // Whoever reads settings has said that this program sends none.
        let _ = traces;
        subscriber.try_init()?;
        Ok(LogHandle { filter })
    }
}

fn subscriber<W>(
    format: Format,
    level: &str,
    is_styled: bool,
    writer: W,
) -> Result<
    (impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync, reload::Handle<EnvFilter, Registry>),
    LogError,
>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(is_styled)
        .with_writer(writer)
        .fmt_fields(debug_fn(|writer, field, value| {
            write!(writer, "{field}={}", text_of(format_args!("{value:?}")))
        }))
        .event_format(Lines::new(format))
        .with_filter(filter);
    Ok((tracing_subscriber::registry().with(lines), handle))
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(level).map_err(|source| LogError::Level { level: level.to_owned(), source })
}

/// Makes lines of events.
struct Lines {
    format: Format,
    started: Instant,
    budgets: Mutex<Budgets<Place>>,
}

/// A place in the code that logs.
#[derive(Debug, Clone, Copy)]
struct Place(&'static Metadata<'static>);

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.0.callsite() == other.0.callsite()
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.callsite().hash(state);
    }
}

impl Lines {
    fn new(format: Format) -> Self {
        Self { format, started: Instant::now(), budgets: Mutex::new(Budgets::new()) }
    }

    /// What is to be told of lines that were not written, and whether this one may be.
    fn judge(&self, place: Place) -> (Vec<HeldBack<Place>>, bool) {
        let now = self.started.elapsed();
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let held_back = std::iter::from_fn(|| budgets.take_held_back(now)).collect();
        (held_back, budgets.admit(now, place))
    }

    fn write(&self, line: &Line<'_>, writer: &mut Writer<'_>) -> fmt::Result {
        match self.format {
            Format::Human => writer.write_str(&line.human(writer.has_ansi_escapes())),
            Format::Json => writer.write_str(&line.json()),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (held_back, is_admitted) = self.judge(Place(event.metadata()));
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        for HeldBack { place: Place(place), lines } in held_back {
            let from = format!("{}:{}", place.file().unwrap_or_default(), place.line().unwrap_or_default());
            let fields = vec![("lines", lines.into()), ("from", from.into())];
            let said = Said { message: "more lines like these were held back".to_owned(), fields };
            let level = *place.level();
            let line = Line { time: &time, level, target: place.target(), spans: "", said };
            self.write(&line, &mut writer)?;
        }
        if !is_admitted {
            return Ok(());
        }
        let mut said = Said::default();
        event.record(&mut said);
        let spans = spans(context, event);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        self.write(&Line { time: &time, level, target, spans: &spans, said }, &mut writer)
    }
}

/// The spans around an event with their fields, the outermost first.
fn spans<S, N>(context: &FmtContext<'_, S, N>, event: &Event<'_>) -> String
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let Some(scope) = context.lookup_current().filter(|_| event.is_contextual()).map(|span| span.scope())
    else {
        return String::new();
    };
    let named = scope.from_root().map(|span| {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>().map(|fields| fields.fields.as_str());
        match fields.filter(|fields| !fields.is_empty()) {
            Some(fields) => format!("{}{{{fields}}}", span.name()),
            None => span.name().to_owned(),
        }
    });
    named.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    /// What was written.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: &str, work: impl FnOnce(&LogHandle, &Paper)) -> String {
        let paper = Paper::default();
        let (writer, written) = (paper.clone(), paper.clone());
        let (subscriber, handle) = subscriber(format, level, false, move || writer.clone()).unwrap();
        let handle = LogHandle {
            filter: handle,
            #[cfg(feature = "otel")]
            traces: None,
        };
        tracing::subscriber::with_default(subscriber, || work(&handle, &paper));
        written.take()
    }

    #[test]
    fn a_million_bad_requests_make_ten_lines_and_other_places_still_log() {
        for format in [Format::Human, Format::Json] {
            let log = logged(format, "info", |_, _| {
                for n in 0..100_000 {
                    tracing::warn!(n, "a bad request");
                }
                tracing::info!("something else");
            });
            // A slow machine may take some seconds for it, and each has its lines and a word about the rest.
            let lines = log.lines().filter(|line| line.contains("a bad request")).count();
            assert!((10..200).contains(&lines), "{lines}");
            assert!(log.len() < 40_000 && log.contains("something else"), "{} bytes", log.len());
        }
    }

    #[test]
    fn the_level_changes_while_it_runs_and_a_wrong_one_is_refused() {
        let log = logged(Format::Human, "warn", |handle, _| {
            tracing::info!("too quiet");
            handle.set_level("info").unwrap();
            tracing::info!("loud enough");
            let error = handle.set_level("dunlin=loud").unwrap_err();
            assert!(error.to_string().contains("`dunlin=loud` is no level"), "{error}");
            tracing::info!("still loud enough");
        });
        assert!(!log.contains("too quiet") && log.lines().count() == 2, "{log}");
    }

    #[test]
    fn a_span_is_named_before_what_happened_in_it() {
        let log = logged(Format::Human, "info", |_, _| {
            let span = tracing::info_span!("call", route = "Chat.\nsay");
            span.in_scope(|| tracing::info!(code = 404, "refused"));
        });
        assert!(log.contains(": call{route=\"Chat.\\nsay\"}: refused code=404\n"), "{log}");
    }
}
