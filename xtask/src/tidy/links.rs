//! Where links lead: to something in the tree, which is there on every machine.

use std::path::Path;

use super::{Finding, resolve};

/// Looks at a link at `path` that says `target`.
pub(super) fn check(path: &str, target: &Path) -> Option<Finding> {
    let stays = target.is_relative() && resolve(path, &target.to_string_lossy()).is_some();
    let fault =
        || format!("a link to {}, which only this machine has: link within the tree", target.display());
    (!stays).then(|| Finding::new(path, fault()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fault(path: &str, target: &str) -> bool {
        check(path, Path::new(target)).is_some()
    }

    #[test]
    fn a_link_within_the_tree_is_fine_and_one_that_leaves_it_is_none() {
        assert!(!is_fault("crates/a/page/code.js", "../../../clients/js/code.js"));
        assert!(!is_fault("interop/v35/main.go", "../main.go"));
        assert!(is_fault("interop/node_modules", "/elsewhere/node_modules"));
        assert!(is_fault("interop/node_modules", "../../elsewhere"));
        assert!(
            is_fault("interop/node_modules", "../../tree/interop/real"),
            "the tree has no name of its own"
        );
    }
}
