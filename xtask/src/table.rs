//! The table of clients and claims, as text.

use anyhow::{Result, bail};

/// What became of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It held, and this is what was seen.
    Held(String),
    /// It held so often, and this is what was seen.
    Counted {
        /// What the table shows.
        count: String,
        /// What is said below it, if there is more to say.
        detail: String,
    },
    /// It did not hold, and this is why.
    Failed(String),
}

/// What was seen when a claim held.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What the table shows.
    pub(crate) count: String,
    pub(crate) detail: String,
}

impl From<Result<Seen>> for Outcome {
    fn from(made: Result<Seen>) -> Self {
        match made {
            Ok(Seen { count, detail }) => Self::Counted { count, detail },
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

/// One claim of one client.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) claim: String,
    pub(crate) outcome: Outcome,
}

/// One client against one server.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) cells: Vec<Cell>,
    /// Why the client was not run.
    pub(crate) missing: Option<String>,
}

/// All clients against all servers.
#[derive(Debug)]
pub(crate) struct Table {
    /// What stands above the clients and above the servers.
    pub(crate) heads: [&'static str; 2],
    pub(crate) rows: Vec<Row>,
}

impl Row {
    /// A client that was not run.
    pub(crate) fn missing(client: &str, server: &str, why: &str) -> Self {
        let (client, server) = (client.to_owned(), server.to_owned());
        Self { client, server, cells: Vec::new(), missing: Some(why.to_owned()) }
    }

    fn mark(&self, claim: &str) -> &str {
        match self.cells.iter().find(|cell| cell.claim == claim).map(|cell| &cell.outcome) {
            Some(Outcome::Held(_)) => "ok",
            Some(Outcome::Counted { count, .. }) => count,
            Some(Outcome::Failed(_)) => "FAIL",
            None => "-",
        }
    }
}

impl Table {
    /// Every claim that some client makes, in the order of their first appearance.
    fn claims(&self) -> Vec<&str> {
        let mut claims = Vec::new();
        for cell in self.rows.iter().flat_map(|row| &row.cells) {
            if !claims.contains(&cell.claim.as_str()) {
                claims.push(cell.claim.as_str());
            }
        }
        claims
    }

    /// How wide the column of a claim is: as its name, and at least as the longest mark in it.
    fn width(&self, claim: &str) -> usize {
        self.rows.iter().map(|row| row.mark(claim).len()).chain([claim.len(), 4]).max().unwrap_or(0)
    }

    /// The table, then a line for each count, each failure and each client that was not run.
    pub(crate) fn render(&self) -> String {
        let claims = self.claims();
        let longest = |texts: &mut dyn Iterator<Item = &str>| texts.map(str::len).max().unwrap_or(0);
        let client_len =
            longest(&mut self.rows.iter().map(|row| row.client.as_str())).max(self.heads[0].len());
        let server_len =
            longest(&mut self.rows.iter().map(|row| row.server.as_str())).max(self.heads[1].len());

        let mut text = format!("{:client_len$}  {:server_len$}", self.heads[0], self.heads[1]);
        for claim in &claims {
            text.push_str(&format!("  {claim:width$}", width = self.width(claim)));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        for row in &self.rows {
            text.push_str(&format!("{:client_len$}  {:server_len$}", row.client, row.server));
            if row.missing.is_some() {
                text.push_str("  not run");
            } else {
                for claim in &claims {
                    text.push_str(&format!("  {:width$}", row.mark(claim), width = self.width(claim)));
                }
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for row in &self.rows {
            if let Some(why) = &row.missing {
                text.push_str(&format!("\nnot run: {}, {}: {why}", row.client, row.server));
            }
            for cell in &row.cells {
                let (kind, said) = match &cell.outcome {
                    Outcome::Held(_) => continue,
                    Outcome::Counted { detail, .. } if detail.is_empty() => continue,
                    Outcome::Counted { count, detail } => (count.as_str(), detail),
                    Outcome::Failed(why) => ("FAIL", why),
                };
                let (client, server, claim) = (&row.client, &row.server, &cell.claim);
                text.push_str(&format!("\n{kind}: {client}, {server}, {claim}: {said}"));
            }
        }
        text
    }

    /// Whether everything held, and was run unless what is missing is allowed to be.
    ///
    /// # Errors
    ///
    /// When it did not.
    pub(crate) fn verdict(&self, allows_missing: bool) -> Result<()> {
        let cells = || self.rows.iter().flat_map(|row| &row.cells);
        let failed = cells().filter(|cell| matches!(cell.outcome, Outcome::Failed(_))).count();
        let missing = self.rows.iter().filter(|row| row.missing.is_some()).count();
        if failed > 0 {
            bail!("{failed} claims do not hold");
        }
        if missing > 0 && !allows_missing {
            bail!("{missing} rows were not run; say --allow-missing where that is no failure");
        }
        if self.rows.iter().all(|row| row.missing.is_some()) && !allows_missing {
            bail!("nothing was run");
        }
        Ok(())
    }

    /// Prints the table.
    #[expect(clippy::print_stdout, reason = "the table is what the command is for")]
    pub(crate) fn print(&self) {
        println!("{}", self.render());
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Outcome, Row, Table};

    #[test]
    fn a_table_shows_every_claim_and_says_why() {
        let cell = |claim: &str, outcome| Cell { claim: claim.to_owned(), outcome };
        let table = Table {
            heads: ["client", "server"],
            rows: vec![
                Row {
                    client: "a".into(),
                    server: "plain".into(),
                    cells: vec![
                        cell("handshake", Outcome::Held("fine".into())),
                        cell("kick", Outcome::Failed("no reason".into())),
                    ],
                    missing: None,
                },
                Row {
                    client: "longer".into(),
                    server: "dict".into(),
                    cells: vec![
                        cell("push", Outcome::Counted { count: "20/20".into(), detail: "in order".into() }),
                        cell("reads", Outcome::Counted { count: "7".into(), detail: String::new() }),
                    ],
                    missing: None,
                },
                Row::missing("c", "dict", "no Go here"),
            ],
        };
        let expected = "\
client  server  handshake  kick  push   reads
a       plain   ok         FAIL  -      -
longer  dict    -          -     20/20  7
c       dict    not run

FAIL: a, plain, kick: no reason
20/20: longer, dict, push: in order
not run: c, dict: no Go here";
        assert_eq!(table.render(), expected);
    }
}
