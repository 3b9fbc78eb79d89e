//! The templates of a project, and how they are filled in. Pure: text in, text out.

use std::path::PathBuf;

/// Where dunlin's crates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The repository, at the version that this program is of.
    Published,
    /// The folder of the crates in a checkout.
    Checkout(PathBuf),
}

/// The crates of dunlin that a project uses.
const CRATES: [&str; 3] = ["dunlin", "dunlin-cli", "dunlin-client"];

/// Where each file goes, and what is in it. Some templates have other names, so that git, cargo and docker leave them alone here.
const TEMPLATES: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("../../templates/chat/Cargo.toml.in")),
    ("src/main.rs", include_str!("../../templates/chat/src/main.rs")),
    ("src/tests.rs", include_str!("../../templates/chat/src/tests.rs")),
    ("dunlin.toml", include_str!("../../templates/chat/dunlin.toml")),
    ("Dockerfile", include_str!("../../templates/chat/Dockerfile")),
    (".dockerignore", include_str!("../../templates/chat/dockerignore")),
    (".gitignore", include_str!("../../templates/chat/gitignore")),
    ("README.md", include_str!("../../templates/chat/README.md")),
];

/// The files of a project: paths and texts.
pub(super) fn files(name: &str, source: &Source) -> Vec<(&'static str, String)> {
    let rust_version = env!("CARGO_PKG_RUST_VERSION");
    let fill = |template: &str| {
        let mut text = template.replace("{{name}}", name).replace("{{rust_version}}", rust_version);
        for dependency in CRATES {
            text = text.replace(&format!("{{{{{dependency}}}}}"), &requirement(dependency, source));
        }
        text
    };
    TEMPLATES.into_iter().map(|(path, template)| (path, fill(template))).collect()
}

/// A crate as the value of a dependency in a manifest.
fn requirement(name: &str, source: &Source) -> String {
    let (version, repository) = (env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_REPOSITORY"));
    match source {
        Source::Published => format!("{{ version = \"{version}\", git = \"{repository}\" }}"),
        Source::Checkout(crates) => {
            // A string of TOML has the escapes of one of JSON.
            let path = serde_json::Value::from(crates.join(name).to_string_lossy());
            format!("{{ path = {path} }}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(source: &Source) -> String {
        let manifest = files("pond-chat", source).into_iter().find(|(path, _)| *path == "Cargo.toml");
        manifest.unwrap().1
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for (path, text) in files("pond-chat", &Source::Published) {
            assert!(!text.contains("{{") && !text.contains("}}"), "{path}:\n{text}");
        }
    }

    #[test]
    fn crates_come_from_the_repository_or_from_a_checkout() {
        insta::assert_snapshot!(manifest(&Source::Published));
        let checkout = manifest(&Source::Checkout(PathBuf::from("/src/a \"b\"/crates")));
        assert!(checkout.contains(r#"dunlin = { path = "/src/a \"b\"/crates/dunlin" }"#), "{checkout}");
    }
}
