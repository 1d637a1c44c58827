//! From the kernel's number of a control group to its path, as a label.
//!
//! On 64-bit machines the number is the inode number of the control group's directory, and never used again. Only
//! version 2 is known: it is the hierarchy that kernel programs read.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Paths of control groups below the mount.
#[derive(Debug)]
pub struct Cgroups {
    mount: PathBuf,
    /// By inode number; may hold some that are gone.
    paths: HashMap<u64, String>,
    walked: Option<Instant>,
}

/// What a control group is called that is gone, or that this process cannot see.
const GONE: &str = "(gone)";
/// A tree is not walked again sooner, so that many unknown numbers in one scrape cost one walk.
const WALK_INTERVAL: Duration = Duration::from_millis(100);

impl Default for Cgroups {
    fn default() -> Self {
        Self::new()
    }
}

impl Cgroups {
    /// The control groups of this machine. Nothing is read yet.
    pub fn new() -> Self {
        let unified = Path::new("/sys/fs/cgroup/unified");
        Self::below(if unified.is_dir() {
            unified
        } else {
            Path::new("/sys/fs/cgroup")
        })
    }

    fn below(mount: &Path) -> Self {
        Self {
            mount: mount.to_owned(),
            paths: HashMap::new(),
            walked: None,
        }
    }

    /// The path of a control group below the mount, `/` for the root, `(gone)` when there is none of that number.
    pub fn path(&mut self, id: u64) -> String {
        if let Some(path) = self.known(id) {
            return path;
        }
        if self.walked.is_none_or(|walked| walked.elapsed() >= WALK_INTERVAL) {
            self.walk();
            self.walked = Some(Instant::now());
        }
        self.known(id).unwrap_or_else(|| GONE.to_owned())
    }

    /// A path that still leads to this control group.
    fn known(&mut self, id: u64) -> Option<String> {
        let path = self.paths.get(&id)?;
        let directory = self.mount.join(path.trim_start_matches('/'));
        if fs::metadata(directory).is_ok_and(|metadata| metadata.ino() == id) {
            return Some(path.clone());
        }
        self.paths.remove(&id);
        None
    }

    fn walk(&mut self) {
        self.paths.clear();
        if let Ok(root) = fs::metadata(&self.mount) {
            self.paths.insert(root.ino(), "/".to_owned());
        }
        let mut left = vec![PathBuf::new()];
        while let Some(parent) = left.pop() {
            // A directory that vanishes meanwhile is gone, which is what its absence will say.
            let _ = self.walk_one(&parent, &mut left);
        }
    }

    fn walk_one(&mut self, parent: &Path, left: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(self.mount.join(parent))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                let path = parent.join(entry.file_name());
                self.paths.insert(entry.ino(), format!("/{}", path.display()));
                left.push(path);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_tree() {
        let mount = tempfile::tempdir().unwrap();
        let inode = |path: &str| fs::metadata(mount.path().join(path)).unwrap().ino();
        fs::create_dir_all(mount.path().join("a/b")).unwrap();
        let mut cgroups = Cgroups::below(mount.path());
        assert_eq!(cgroups.path(inode("")), "/");
        assert_eq!(cgroups.path(inode("a")), "/a");
        let inner = inode("a/b");
        assert_eq!(cgroups.path(inner), "/a/b");
        fs::remove_dir(mount.path().join("a/b")).unwrap();
        assert_eq!(cgroups.path(inner), "(gone)");
        assert_eq!(cgroups.path(1), "(gone)");
    }

    #[test]
    fn a_new_one_is_found_by_the_next_walk_only() {
        let mount = tempfile::tempdir().unwrap();
        let mut cgroups = Cgroups::below(mount.path());
        assert_eq!(cgroups.path(1), "(gone)");
        fs::create_dir(mount.path().join("late")).unwrap();
        let late = fs::metadata(mount.path().join("late")).unwrap().ino();
        cgroups.walked = Some(Instant::now() + WALK_INTERVAL);
        assert_eq!(cgroups.path(late), "(gone)");
        cgroups.walked = None;
        assert_eq!(cgroups.path(late), "/late");
    }
}
