//! Who may import whom, which Rust is enough, and what the pure crate may not touch: read from cargo's metadata.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata};

use super::Finding;

#[cfg(test)]
mod tests;

/// The arrows of the workspace. A crate that is not named here may not exist.
const ARROWS: [Arrows; 17] = [
    Arrows::of("dunlin-wire", &[], &[]),
    Arrows::of("dunlin-poll", &[], &[]),
    Arrows::of("dunlin-http", &[], &[]),
    Arrows::of("dunlin-rafthttp", &["dunlin-http"], &[]),
    // Its own tests make the claims that it has for other implementations' tests.
    Arrows::of("dunlin-registry", &["dunlin-rafthttp"], &["dunlin-http", "dunlin-registry"]),
    Arrows::of("dunlin-etcd", &["dunlin-registry"], &[]),
    Arrows::of("dunlin-cluster", &["dunlin-rafthttp", "dunlin-registry"], &[]),
    Arrows::of("dunlin-macros", &[], &[]),
    Arrows::of("dunlin-client", &["dunlin-wire"], &[]),
    Arrows::of(
        "dunlin",
        &["dunlin-cluster", "dunlin-macros", "dunlin-poll", "dunlin-registry", "dunlin-wire"],
        &["dunlin-client"],
    ),
    Arrows::of("dunlin-admin", &["dunlin", "dunlin-http", "dunlin-registry"], &["dunlin-client"]),
    Arrows::of(
        "dunlin-cli",
        &["dunlin", "dunlin-admin", "dunlin-client", "dunlin-jwt", "dunlin-rafthttp", "dunlin-registry"],
        &[],
    ),
    Arrows::of("dunlin-jwt", &["dunlin"], &[]),
    Arrows::of(
        "dunlin-bench",
        &[
            "dunlin",
            "dunlin-etcd",
            "dunlin-http",
            "dunlin-poll",
            "dunlin-rafthttp",
            "dunlin-registry",
            "dunlin-wire",
        ],
        &[],
    ),
    Arrows::of("dunlin-probe", &["dunlin", "dunlin-wire"], &[]),
    Arrows::of("dunlin-sim", &["dunlin-rafthttp", "dunlin-registry"], &[]),
    Arrows::of("xtask", &[], &[]),
];

/// What a crate under `examples/` may use: the public face, the command line, or the registry by itself; and in its tests the client.
const EXAMPLE: Arrows =
    Arrows::of("", &["dunlin", "dunlin-cli", "dunlin-rafthttp", "dunlin-registry"], &["dunlin-client"]);

/// The crate of the codecs, and what must not even stand behind it: IO, timers and randomness.
const PURE: &str = "dunlin-wire";
const NOT_PURE: [&str; 8] =
    ["tokio", "mio", "socket2", "rustix", "rand", "fastrand", "getrandom", "futures-util"];

/// What a crate may use of the workspace: everywhere, and besides that in tests and examples.
#[derive(Debug, Clone, Copy)]
struct Arrows {
    from: &'static str,
    to: &'static [&'static str],
    to_in_tests: &'static [&'static str],
}

impl Arrows {
    const fn of(
        from: &'static str,
        to: &'static [&'static str],
        to_in_tests: &'static [&'static str],
    ) -> Self {
        Self { from, to, to_in_tests }
    }

    fn allow(&self, arrow: &Arrow) -> bool {
        let allowed = |list: &[&str]| list.contains(&arrow.to.as_str());
        allowed(self.to) || (arrow.kind == DependencyKind::Development && allowed(self.to_in_tests))
    }
}

/// One use of a crate of the workspace by another.
#[derive(Debug, Clone)]
struct Arrow {
    from: String,
    is_example: bool,
    to: String,
    kind: DependencyKind,
}

/// Checks the crates of the workspace.
pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(unknown_crates(metadata));
    findings.extend(new_arrows(&arrows(metadata)));
    findings.extend(newer_rust(&declared_rust(metadata), &needed_rust(metadata)));
    findings.extend(impure(&graph(metadata)));
    findings.extend(unlinted(metadata));
    findings
}

fn unknown_crates(metadata: &Metadata) -> Vec<Finding> {
    let packages = metadata.workspace_packages().into_iter();
    let unknown = packages.filter(|package| {
        !is_example(package) && !ARROWS.iter().any(|arrows| arrows.from == package.name.as_str())
    });
    unknown
        .map(|package| {
            Finding::new(
                package.name.to_string(),
                "is not named in xtask/src/tidy/crates.rs; say whom it may import",
            )
        })
        .collect()
}

fn is_example(package: &cargo_metadata::Package) -> bool {
    package.manifest_path.components().any(|component| component.as_str() == "examples")
}

fn arrows(metadata: &Metadata) -> Vec<Arrow> {
    let members: BTreeSet<_> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let mut arrows = Vec::new();
    for package in metadata.workspace_packages() {
        let uses = package.dependencies.iter().filter(|dependency| members.contains(&dependency.name));
        arrows.extend(uses.map(|dependency| Arrow {
            from: package.name.to_string(),
            is_example: is_example(package),
            to: dependency.name.clone(),
            kind: dependency.kind,
        }));
    }
    arrows
}

fn new_arrows(arrows: &[Arrow]) -> Vec<Finding> {
    let forbidden = arrows.iter().filter(|arrow| {
        let named = ARROWS.iter().find(|arrows| arrows.from == arrow.from);
        let rule = if arrow.is_example { Some(&EXAMPLE) } else { named };
        !rule.is_some_and(|rule| rule.allow(arrow))
    });
    forbidden
        .map(|arrow| Finding::new(&arrow.from, format!("may not import {} (a new arrow)", arrow.to)))
        .collect()
}

/// The oldest Rust that each crate promises to build with.
fn declared_rust(metadata: &Metadata) -> BTreeMap<String, Option<Release>> {
    let packages = metadata.workspace_packages().into_iter();
    packages.map(|package| (package.name.to_string(), package.rust_version.as_ref().map(release))).collect()
}

/// The oldest Rust that each foreign crate says it needs.
fn needed_rust(metadata: &Metadata) -> BTreeMap<String, Release> {
    let foreign = metadata.packages.iter().filter(|package| package.source.is_some());
    foreign
        .filter_map(|package| {
            let needed = package.rust_version.as_ref().map(release)?;
            Some((format!("{} {}", package.name, package.version), needed))
        })
        .collect()
}

/// Major and minor: patches add no language.
type Release = (u64, u64);

fn release(version: &cargo_metadata::semver::Version) -> Release {
    (version.major, version.minor)
}

fn newer_rust(
    declared: &BTreeMap<String, Option<Release>>,
    needed: &BTreeMap<String, Release>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let silent = declared.iter().filter(|(_, release)| release.is_none());
    findings.extend(silent.map(|(name, _)| Finding::new(name, "declares no rust-version")));
    let Some(promised) = declared.values().flatten().min() else { return findings };
    let newer = needed.iter().filter(|(_, needed)| *needed > promised);
    findings.extend(newer.map(|(name, (major, minor))| {
        let promised = format!("{}.{}", promised.0, promised.1);
        Finding::new(name, format!("needs Rust {major}.{minor}, but the workspace promises {promised}"))
    }));
    findings
}

/// Every crate of the build and what it uses in it, tests aside.
fn graph(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    nodes
        .filter_map(|node| {
            let used = node.deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            let used = used.filter_map(|dependency| names.get(&dependency.pkg).cloned()).collect();
            Some((names.get(&node.id)?.clone(), used))
        })
        .collect()
}

fn impure(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Finding> {
    let mut seen = BTreeSet::from([PURE.to_owned()]);
    let mut waiting = vec![PURE.to_owned()];
    while let Some(name) = waiting.pop() {
        for used in graph.get(&name).into_iter().flatten() {
            if seen.insert(used.clone()) {
                waiting.push(used.clone());
            }
        }
    }
    let impure = NOT_PURE.iter().filter(|name| seen.contains(**name));
    impure.map(|name| Finding::new(PURE, format!("is pure and may not stand on {name}"))).collect()
}

/// A crate without the workspace's lints would escape all of them, `forbid(unsafe_code)` first.
fn unlinted(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
        if !takes_lints(&package.name, &manifest) {
            findings.push(Finding::new(package.name.to_string(), "must take `[lints] workspace = true`"));
        }
    }
    findings
}

/// `dunlin-poll` holds the one unsafe line and so must lower `forbid` to `deny`; everybody else takes the lints whole.
fn takes_lints(name: &str, manifest: &str) -> bool {
    let denies = name == "dunlin-poll" && manifest.contains("unsafe_code = \"deny\"");
    denies || manifest.contains("[lints]\nworkspace = true")
}
