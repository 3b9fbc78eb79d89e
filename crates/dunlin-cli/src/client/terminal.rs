//! Where lines come from: a prompt with editing, history and completion on a terminal, or standard input as it is.
//!
//! Both read on a thread of their own, since neither can be waited for otherwise; a line is read when the one before was dealt with.

use std::borrow::Cow;
use std::io::{self, BufRead, IsTerminal, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter};
use tokio::sync::{mpsc, oneshot};

use super::routes::Routes;
use super::session::Typed;

const PROMPT: &str = "> ";

/// The longest line of standard input: the longest body, and its route.
const LINE_LEN_MAX: u64 = 1 << 24;

/// Whether there is somebody to prompt.
pub(super) fn is_prompting() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// Reads standard input line by line.
pub(super) fn read_lines() -> Result<mpsc::Receiver<Typed>> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || send_lines(stdin().lock(), &sender))
        .context("the system gives no thread")?;
    Ok(lines)
}

fn send_lines(mut input: impl BufRead, sender: &mpsc::Sender<Typed>) {
    let mut text = String::new();
    loop {
        text.clear();
        match input.by_ref().take(LINE_LEN_MAX).read_line(&mut text) {
            Ok(len) if len > 0 && send(sender, std::mem::take(&mut text)) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "standard input is not read further");
                return;
            }
        }
    }
}

/// Hands a line over and waits until it was dealt with; whether there may be another.
fn send(sender: &mpsc::Sender<Typed>, text: String) -> bool {
    let (done, dealt_with) = oneshot::channel();
    sender.blocking_send(Typed { text, done }).is_ok() && dealt_with.blocking_recv().is_ok()
}

/// A terminal with a prompt.
pub(super) struct Prompt {
    pub(super) lines: mpsc::Receiver<Typed>,
    pub(super) screen: Screen,
    /// How the terminal was, for [`restore`]: the thread may be in the middle of a line when the program ends.
    pub(super) before: Option<Termios>,
}

impl Prompt {
    /// Begins to prompt.
    pub(super) fn start(routes: Arc<Mutex<Routes>>, history: Option<PathBuf>) -> Result<Self> {
        let before = tcgetattr(stdin()).ok();
        let config = Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
        let mut editor: Editor<Completion, FileHistory> =
            Editor::with_config(config).context("the terminal has no prompt")?;
        editor.set_helper(Some(Completion { routes }));
        if let Some(path) = history.as_deref().filter(|path| path.exists()) {
            editor.load_history(path).with_context(|| format!("{} cannot be read", path.display()))?;
        }
        let printer = editor.create_external_printer().context("the terminal has no prompt")?;
        let screen = Screen { printer: Arc::new(Mutex::new(Box::new(printer))), line: Vec::new() };
        let (sender, lines) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("prompt".to_owned())
            .spawn(move || prompt(&mut editor, &sender, history.as_deref()))
            .context("the system gives no thread")?;
        Ok(Self { lines, screen, before })
    }
}

/// Gives the terminal back as it was.
pub(super) fn restore(before: Option<Termios>) {
    if let Some(before) = before {
        // A terminal that is gone needs no settings.
        tcsetattr(stdin(), OptionalActions::Now, &before).ok();
    }
}

fn prompt(
    editor: &mut Editor<Completion, FileHistory>,
    sender: &mpsc::Sender<Typed>,
    history: Option<&Path>,
) {
    loop {
        let is_on = match editor.readline(PROMPT) {
            Ok(text) => send(sender, text),
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => false,
            Err(error) => {
                tracing::warn!(%error, "the terminal is not read further");
                false
            }
        };
        if let Some(path) = history
            && let Err(error) = editor.save_history(path)
        {
            tracing::warn!(%error, path = %path.display(), "what was typed is not kept");
        }
        if !is_on {
            return;
        }
    }
}

/// Writes lines above the prompt.
#[derive(Clone)]
pub(super) struct Screen {
    printer: Arc<Mutex<Box<dyn ExternalPrinter + Send>>>,
    line: Vec<u8>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let mut printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
        // A prompt that was left, with Ctrl-D for one, shows nothing above itself any more.
        printer.print(line.clone()).or_else(|_| stdout().write_all(line.as_bytes()))
    }
}

/// What Tab does.
struct Completion {
    routes: Arc<Mutex<Routes>>,
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _context: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.routes.lock().unwrap_or_else(PoisonError::into_inner).complete(line, cursor))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Borrowed(hint)
    }
}

impl Validator for Completion {}

impl rustyline::Helper for Completion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_line_waits_until_the_one_before_was_dealt_with() {
        let (sender, mut lines) = mpsc::channel(1);
        let reader = std::thread::spawn(move || send_lines(&b"one\ntwo"[..], &sender));
        let first = lines.blocking_recv().unwrap();
        assert_eq!(first.text, "one\n");
        assert!(lines.try_recv().is_err());
        first.done.send(()).unwrap();
        let second = lines.blocking_recv().unwrap();
        assert_eq!(second.text, "two");
        // Nobody deals with it: there is nobody left.
        drop(second);
        reader.join().unwrap();
        assert!(lines.blocking_recv().is_none());
    }
}
