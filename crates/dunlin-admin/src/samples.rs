//! Metrics as they are written for Prometheus, taken apart again: what the page shows is what a scraper is told. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

/// One value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// Takes apart what was written. Lines that are none of a sample are passed over.
pub(crate) fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let at = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(at);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The labels up to the brace that closes them, and what comes after it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = value(quoted)?;
        labels.insert(name.to_owned(), value);
        rest = after;
    }
}

/// A value up to the quote that ends it, and what comes after that.
fn value(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_with_its_labels() {
        let text = "# HELP calls all\n# TYPE calls counter\ncalls{route=\"a.\\\"b\\\\\\n\",node=\"n,1}\"} 3\nup 1.5 1700000000000\n\nbad\n";
        let read = samples(text);
        assert_eq!(read.len(), 2, "{read:?}");
        assert_eq!(read[0].labels["route"], "a.\"b\\\n");
        assert_eq!(read[0].labels["node"], "n,1}");
        assert_eq!((read[1].name.as_str(), read[1].value), ("up", 1.5));
    }

    #[test]
    fn infinity_and_what_is_cut_short_end_nothing() {
        assert!(samples("a{le=\"+Inf\"} +Inf")[0].value.is_infinite());
        for cut in ["a{", "a{b", "a{b=\"", "a{b=\"c\\", "a{b=\"c\"} ", "{", " "] {
            assert_eq!(samples(cut), [], "{cut:?}");
        }
    }
}
