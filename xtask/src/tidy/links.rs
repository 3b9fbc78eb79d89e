//! Where links lead: to something in the tree, which is there on every machine.

use std::path::{Component, Path};

use super::Finding;

/// Looks at a link at `path` that says `target`.
pub(super) fn check(path: &str, target: &Path) -> Option<Finding> {
    let stays = stays_within(Path::new(path).parent()?, target);
    let fault =
        || format!("a link to {}, which only this machine has: link within the tree", target.display());
    (!stays).then(|| Finding::new(path, fault()))
}

/// Whether a relative path from a folder of the tree never leaves the tree.
fn stays_within(folder: &Path, target: &Path) -> bool {
    let mut depth = folder.components().count();
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
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
