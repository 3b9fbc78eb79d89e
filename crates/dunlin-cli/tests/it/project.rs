//! Projects that `dunlin new` makes: their shape, quickly. That they build is a step of CI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const FILES: [&str; 8] = [
    ".dockerignore",
    ".gitignore",
    "Cargo.toml",
    "Dockerfile",
    "README.md",
    "dunlin.toml",
    "src/main.rs",
    "src/tests.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn dunlin_new(folder: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dunlin")).arg("new").arg(folder).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The name that rustc has for machines such as this.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = text(&Command::new(rustc).arg("-vV").output().unwrap().stdout);
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

#[test]
fn a_project_has_its_name_everywhere_and_cargo_understands_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pond-chat");
    let root = root();
    let made = dunlin_new(&folder, &["--path", root.to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains("cargo run -- serve --config dunlin.toml"));
    for file in FILES {
        let content = fs::read_to_string(folder.join(file)).unwrap();
        assert!(!content.contains("{{"), "{file}");
    }
    assert!(fs::read_to_string(folder.join("Dockerfile")).unwrap().contains("/usr/local/bin/pond-chat"));

    // With the versions of this workspace, so that no network is asked.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let read = Command::new(cargo)
        // What other machines need may not be here.
        .args([
            "metadata",
            "--offline",
            "--format-version",
            "1",
            "--filter-platform",
            &host(),
            "--manifest-path",
        ])
        .arg(folder.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    let members = metadata["workspace_members"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    assert!(members[0].as_str().unwrap().contains("pond-chat"), "{}", members[0]);
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious.txt"), "mine").unwrap();
    let refused = dunlin_new(dir.path(), &["--name", "pond-chat"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("is not empty"), "{}", text(&refused.stderr));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_name_that_is_none_and_a_checkout_that_is_none_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("2pond");
    let refused = dunlin_new(&folder, &[]);
    assert!(text(&refused.stderr).contains("must begin with a letter"), "{}", text(&refused.stderr));
    let refused = dunlin_new(&folder, &["--name", "pond", "--path", dir.path().to_str().unwrap()]);
    assert!(text(&refused.stderr).contains("is no checkout of dunlin"), "{}", text(&refused.stderr));
    assert!(!folder.exists());
}
