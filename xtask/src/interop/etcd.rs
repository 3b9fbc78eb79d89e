//! A version of etcd as a Go module of ours around its packages: built once, for the runs that set it against our members.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::drivers::succeed;

/// The folders of the modules, one for each version.
pub(crate) const FOLDERS: [&str; 2] = ["v35", "v36"];

/// A version of etcd, by the folder of its module.
#[derive(Debug)]
pub(crate) struct Etcd {
    pub(crate) version: String,
    /// The program, or why there is none.
    pub(crate) program: Result<PathBuf, String>,
}

impl Etcd {
    /// Builds the module `folder` of `interop/{family}`.
    ///
    /// # Errors
    ///
    /// When the module does not say which version it is for. That it cannot be built is for the caller to judge.
    pub(crate) fn build(root: &Path, family: &str, folder: &str) -> Result<Self> {
        let family = root.join("interop").join(family);
        let module = family.join(folder);
        let path = module.join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let version = version(&text).with_context(|| format!("{} names no server", path.display()))?;
        let program = family.join("bin").join(folder);
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(".").current_dir(&module);
        let program = succeed(go, "go build").map(|()| program).map_err(|error| format!("{error:#}"));
        Ok(Self { version: version.to_owned(), program })
    }

    pub(crate) fn name(&self) -> String {
        format!("etcd {}", self.version)
    }
}

/// The version of etcd's server that a `go.mod` asks for.
fn version(module: &str) -> Option<&str> {
    module.lines().find_map(|line| {
        line.trim().trim_start_matches("require ").strip_prefix("go.etcd.io/etcd/server/v3 v")
    })
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_read_from_the_module_in_either_form() {
        let alone = "module m\n\nrequire go.etcd.io/etcd/server/v3 v3.5.35\n";
        let listed = "require (\n\tgo.etcd.io/etcd/api/v3 v3.6.1\n\tgo.etcd.io/etcd/server/v3 v3.6.16\n)\n";
        assert_eq!((version(alone), version(listed)), (Some("3.5.35"), Some("3.6.16")));
        assert_eq!(version("require go.etcd.io/raft/v3 v3.6.0\n"), None);
    }
}
