//! `dunlin new`: a project of one's own that builds, whose tests pass, and that has the whole command line of `dunlin`.
//!
//! `name.rs` says which names a project may have, `project.rs` has the templates and fills them in. Only this file writes.

mod name;
mod project;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use self::project::{Source, files};

/// A new project.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin new pond-chat                    a chat server in the folder pond-chat
  dunlin new . --name pond-chat           in this folder, which must be empty
  dunlin new pond-chat --path ../dunlin   with the crates of a checkout")]
pub(crate) struct NewArgs {
    /// The folder of the project; it must be empty or not there
    pub(crate) path: PathBuf,

    /// The name of its crate and program [default: the name of the folder]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// A checkout of dunlin to build with, rather than the version that this program is of
    #[arg(long = "path", value_name = "DIR")]
    pub(crate) checkout: Option<PathBuf>,
}

/// Makes the project and says what to type next.
pub(crate) fn run(args: &NewArgs, out: &mut impl Write) -> Result<()> {
    let folder = std::path::absolute(&args.path).context("the folder has no path")?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => named_after(&folder)?,
    };
    if let Err(fault) = name::check(&name) {
        bail!("`{name}` cannot be the name of a project: {fault}; --name gives it another");
    }
    let source = match &args.checkout {
        Some(checkout) => Source::Checkout(crates(checkout)?),
        None => Source::Published,
    };
    ensure!(is_free(&folder)?, "{} is not empty; name another folder", folder.display());
    for (path, text) in files(&name, &source) {
        write(&folder.join(path), &text)?;
    }
    let shown = args.path.display();
    write!(
        out,
        "{name} is in {shown}: src/main.rs is where to begin.

  cd {shown}
  cargo test                                two people talk, in one process
  cargo run -- serve --config dunlin.toml   serves them on port 3250
  cargo run -- client ws://127.0.0.1:3250/  talks to it, in another terminal
"
    )
    .context("standard output is closed")
}

fn named_after(folder: &Path) -> Result<String> {
    let name = folder.file_name().context("the folder has no name; --name gives the project one")?;
    Ok(name.to_string_lossy().into_owned())
}

/// The folder of the crates in a checkout.
fn crates(checkout: &Path) -> Result<PathBuf> {
    let crates = checkout.join("crates");
    let is_checkout = crates.join("dunlin-cli/Cargo.toml").is_file();
    ensure!(is_checkout, "{} is no checkout of dunlin: it has no crates/dunlin-cli", checkout.display());
    crates.canonicalize().with_context(|| format!("{} cannot be found", crates.display()))
}

/// Whether nothing would be written over.
fn is_free(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", folder.display())),
    }
}

/// Writes a file that is not there.
fn write(path: &Path, text: &str) -> Result<()> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
    });
    written.with_context(|| format!("{} cannot be written", path.display()))
}
