//! The list of excused files: one `path: reason` a line, `#` starts a remark.

use super::Finding;

/// Files that may be longer than the rule says, each with its reason.
#[derive(Debug, Default)]
pub(crate) struct Allowances {
    file: String,
    entries: Vec<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    line: usize,
    path: String,
}

impl Allowances {
    /// Reads the list; an entry without a reason is a fault and excuses nothing.
    pub(crate) fn parse(file: &str, text: &str) -> (Self, Vec<Finding>) {
        let mut entries = Vec::new();
        let mut findings = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.split_once(": ") {
                Some((path, reason)) if !reason.trim().is_empty() => {
                    entries.push(Allowance { line: line_number, path: path.trim().to_owned() });
                }
                _ => findings.push(Finding::at_line(file, line_number, "write `path: reason`")),
            }
        }
        (Self { file: file.to_owned(), entries }, findings)
    }

    /// Whether this file is excused.
    pub(crate) fn excuse(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == path)
    }

    /// Entries that excuse nothing any more, given the files that need one.
    pub(crate) fn stale(&self, needed: &[&str]) -> Vec<Finding> {
        let stale = self.entries.iter().filter(|entry| !needed.contains(&entry.path.as_str()));
        stale
            .map(|entry| {
                Finding::at_line(
                    &self.file,
                    entry.line,
                    format!("{} needs no excuse; take it out", entry.path),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_with_a_reason_excuses_its_file_alone() {
        let (allowances, findings) =
            Allowances::parse("allow.txt", "# remark\n\nsrc/a.rs: generated table\n");
        assert_eq!(findings, []);
        assert!(allowances.excuse("src/a.rs"));
        assert!(!allowances.excuse("src/b.rs"));
    }

    #[test]
    fn entry_without_a_reason_is_a_fault_and_excuses_nothing() {
        let (allowances, findings) = Allowances::parse("allow.txt", "src/a.rs\nsrc/b.rs: \n");
        assert_eq!(findings.len(), 2);
        assert!(!allowances.excuse("src/a.rs"));
    }

    #[test]
    fn entry_that_nobody_needs_is_stale() {
        let (allowances, _) = Allowances::parse("allow.txt", "a.rs: long\nb.rs: long\n");
        let stale = allowances.stale(&["a.rs"]);
        assert_eq!(stale, [Finding::at_line("allow.txt", 2, "b.rs needs no excuse; take it out")]);
    }
}
