//! Which names a project may have: those that cargo takes for a crate and a program.

/// Longer ones would be refused by registries.
const LEN_MAX: usize = 64;

/// What a crate cannot be called, because the language needs the word.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// What it would stand in the way of: crates that it uses, and those of the language.
const TAKEN: [&str; 11] = [
    "alloc",
    "build",
    "core",
    "deps",
    "dunlin",
    "examples",
    "incremental",
    "proc_macro",
    "serde",
    "std",
    "test",
];

/// Whether a project may have the name; the error says why not.
pub(super) fn check(name: &str) -> Result<(), String> {
    let Some(first) = name.chars().next() else { return Err("it is empty".to_owned()) };
    if name.len() > LEN_MAX {
        return Err(format!("it is longer than {LEN_MAX} characters"));
    }
    if !first.is_ascii_alphabetic() {
        return Err("it must begin with a letter".to_owned());
    }
    if let Some(strange) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_".contains(*c)) {
        return Err(format!("it has {strange:?}, and only letters, digits, - and _ are taken"));
    }
    let as_crate = name.replace('-', "_").to_ascii_lowercase();
    if KEYWORDS.contains(&as_crate.as_str()) {
        return Err("it is a word of the language".to_owned());
    }
    if TAKEN.contains(&as_crate.as_str()) || as_crate == "tokio" || as_crate.starts_with("dunlin_") {
        return Err("another crate that it needs is called so".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_takes_are_taken() {
        for name in ["pond-chat", "Pond_2", "p", "dunlins", "matching"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_build_nothing_are_refused_with_the_reason() {
        let long = "p".repeat(65);
        let cases = [
            ("", "empty"),
            ("2pond", "begin with a letter"),
            ("-pond", "begin with a letter"),
            ("pond chat", "' '"),
            ("té", "'é'"),
            ("po/nd", "'/'"),
            ("match", "word of the language"),
            ("dunlin", "called so"),
            ("dunlin-cli", "called so"),
            ("tokio", "called so"),
            (long.as_str(), "longer"),
        ];
        for (name, reason) in cases {
            let fault = check(name).unwrap_err();
            assert!(fault.contains(reason), "{name}: {fault}");
        }
    }
}
