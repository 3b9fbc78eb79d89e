//! `dunlin certs`: an authority and certificates for development, so that TLS can be tried where nobody gives out real ones.
//!
//! `issue.rs` makes certificates and knows no file and no clock, `files.rs` writes them and never over a key that somebody may still need.
//!
//! Invariants: the authority's files are written once and never again; whatever was written is trusted by the authority that lies beside it.

mod files;
mod issue;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use time::OffsetDateTime;

use self::files::{Existing, Secrecy};
use self::issue::{Authority, Pair, Purpose};

/// What is made, and where.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin certs                                  into the folder certs, for 90 days
  dunlin certs /etc/dunlin --san gate.internal  also for this name
  dunlin certs --days 30 --force                anew, by the same authority

For development: whoever can read ca.key can make a node of every cluster that
trusts ca.pem.")]
pub(crate) struct CertsArgs {
    /// The folder, made if there is none
    #[arg(value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,

    /// One more name or address that the certificates are for, beside localhost; repeat it for several
    #[arg(long, value_name = "NAME")]
    pub(crate) san: Vec<String>,

    /// How many days the certificates are good for
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=825))]
    pub(crate) days: u16,

    /// Makes node and gate certificates anew and puts them over those that are there; never over the authority's
    #[arg(long)]
    pub(crate) force: bool,
}

/// The certificates that are made, beside the authority's own: the start of their files' names, and what they are for.
const LEAVES: [(&str, Purpose); 2] = [("node", Purpose::Node), ("gate", Purpose::Gate)];

/// Makes the files and says how they are used.
pub(crate) fn run(args: &CertsArgs, out: &mut impl Write) -> Result<()> {
    let made = make(args)?;
    write!(out, "{made}").context("standard output is closed")
}

/// What was made.
#[derive(Debug)]
pub(crate) struct Made {
    dir: PathBuf,
    is_authority_new: bool,
    days: u16,
}

/// Makes the files that there are not; those that `--force` allows, anew.
pub(crate) fn make(args: &CertsArgs) -> Result<Made> {
    let dir = std::path::absolute(&args.dir).context("the folder has no path")?;
    std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let taken = files::taken(&dir, LEAVES.map(|(stem, _)| stem));
    if !taken.is_empty() && !args.force {
        bail!(
            "{} in {} already: --force makes certificates anew, by the same authority",
            taken,
            dir.display()
        );
    }
    let now = OffsetDateTime::now_utc();
    let (authority, is_authority_new) = authority(&dir, now)?;
    // All are made before one is written, so that a name that is none leaves everything as it was.
    let issue = |(stem, purpose)| anyhow::Ok((stem, authority.issue(purpose, &args.san, args.days, now)?));
    let leaves = LEAVES.into_iter().map(issue).collect::<Result<Vec<_>>>()?;
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    if is_authority_new {
        write(&dir, "ca", authority.pair(), Existing::Refuse)?;
    }
    for (stem, pair) in &leaves {
        write(&dir, stem, pair, existing)?;
    }
    Ok(Made { dir, is_authority_new, days: args.days })
}

/// The authority of this folder, or a new one if it has none.
fn authority(dir: &Path, now: OffsetDateTime) -> Result<(Authority, bool)> {
    let [certificate, key] = [dir.join("ca.pem"), dir.join("ca.key")];
    match (certificate.exists(), key.exists()) {
        (false, false) => Ok((Authority::new(now)?, true)),
        (true, true) => {
            let pair = Pair { certificate: files::read(&certificate)?, key: files::read(&key)? };
            let authority = Authority::from_pair(pair).with_context(|| {
                format!(
                    "ca.pem and ca.key in {} are none of `dunlin certs`; name another folder",
                    dir.display()
                )
            })?;
            Ok((authority, false))
        }
        (true, false) => bail!("{} is missing beside its ca.pem", key.display()),
        (false, true) => bail!("{} is missing beside its ca.key", certificate.display()),
    }
}

/// The key first: a certificate without one is of no use, and the key is what may not be written over.
fn write(dir: &Path, stem: &str, pair: &Pair, existing: Existing) -> Result<()> {
    files::write(&dir.join(format!("{stem}.key")), &pair.key, Secrecy::Secret, existing)?;
    files::write(&dir.join(format!("{stem}.pem")), &pair.certificate, Secrecy::Public, existing)
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, is_authority_new, days } = self;
        let path = |name: &str| quoted(&dir.join(name));
        let authority = if *is_authority_new { "new, for ten years" } else { "as it was" };
        writeln!(f, "FOR DEVELOPMENT ONLY: whoever can read ca.key can make a node of your cluster.\n")?;
        writeln!(f, "In {}:", dir.display())?;
        writeln!(f, "  ca.pem    ca.key     the authority, {authority}")?;
        writeln!(
            f,
            "  node.pem  node.key   for links between nodes and for `dunlin members` and such, {days} days"
        )?;
        writeln!(f, "  gate.pem  gate.key   for clients and browsers, {days} days\n")?;
        writeln!(f, "In dunlin.toml of every node:\n")?;
        writeln!(
            f,
            "[clients]\ntls = {{ certificate = {}, key = {} }}\n",
            path("gate.pem"),
            path("gate.key")
        )?;
        writeln!(f, "[cluster.tls]\nauthority = {}", path("ca.pem"))?;
        writeln!(f, "certificate = {}\nkey = {}\n", path("node.pem"), path("node.key"))?;
        let ca = dir.join("ca.pem");
        writeln!(f, "Try it:\n  dunlin client wss://localhost:3250/ --tls-authority {}", ca.display())
    }
}

/// A path as a string of TOML, whose escapes are those of JSON.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}
