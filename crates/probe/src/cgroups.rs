//! From the kernel's number of a control group to its path, for labels.
//!
//! The number is that of `bpf_get_current_cgroup_id`, which on 64-bit machines is the inode number of the group's folder
//! in the version 2 hierarchy and is not given twice (kernfs, since Linux 5.5: 40430452fd5d). Knows no version 1.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Label of a group that is unknown or gone, so that what is gone is one series and not many.
pub const GONE: &str = "(gone)";

/// Where the version 2 hierarchy is mounted; the second when version 1 is mounted beside it.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// The folder tree is not walked again so soon: one scrape, whose numbers were all read before it asks, walks it once.
const WALK_INTERVAL: Duration = Duration::from_millis(100);

/// Paths of control groups by number.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    paths: HashMap<u64, PathBuf>,
    walked: Option<Instant>,
}

impl Default for Cgroups {
    fn default() -> Self {
        Self::new()
    }
}

impl Cgroups {
    /// Of this machine.
    pub fn new() -> Self {
        let is_version_2 = |mount: &&str| Path::new(mount).join("cgroup.controllers").exists();
        Self::below(Path::new(
            MOUNTS.into_iter().find(is_version_2).unwrap_or(MOUNTS[0]),
        ))
    }

    fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            paths: HashMap::new(),
            walked: None,
        }
    }

    /// The path of a group below the mount, `/` for the root, or [`GONE`].
    pub fn path(&mut self, id: u64) -> String {
        let is_there = |path: &PathBuf| fs::metadata(path).is_ok_and(|folder| folder.ino() == id);
        if !self.paths.get(&id).is_some_and(is_there) {
            self.paths.remove(&id);
            if self.walked.is_none_or(|walked| walked.elapsed() > WALK_INTERVAL) {
                self.walk();
            }
        }
        match self.paths.get(&id).map(|path| path.strip_prefix(&self.root)) {
            Some(Ok(path)) => format!("/{}", path.display()),
            _ => GONE.to_owned(),
        }
    }

    fn walk(&mut self) {
        self.paths.clear();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            // A group may go away while it is looked at.
            let Ok(metadata) = fs::metadata(&folder) else {
                continue;
            };
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let is_folder =
                |entry: &fs::DirEntry| entry.file_type().is_ok_and(|file_type| file_type.is_dir());
            folders.extend(entries.filter(is_folder).map(|entry| entry.path()));
            self.paths.insert(metadata.ino(), folder);
        }
        self.walked = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn groups_are_found_when_they_come_and_missed_when_they_go() {
        let root = std::env::temp_dir().join(format!("cgroups-{}", std::process::id()));
        fs::create_dir_all(root.join("pod/container")).unwrap();
        let mut cgroups = Cgroups::below(&root);
        let container = inode(&root.join("pod/container"));
        assert_eq!(cgroups.path(inode(&root)), "/");
        assert_eq!(cgroups.path(container), "/pod/container");

        fs::create_dir(root.join("late")).unwrap();
        std::thread::sleep(WALK_INTERVAL * 2);
        assert_eq!(cgroups.path(inode(&root.join("late"))), "/late");

        fs::remove_dir(root.join("pod/container")).unwrap();
        assert_eq!(cgroups.path(container), GONE);
        assert_eq!(cgroups.path(u64::MAX), GONE);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn this_machine_has_a_root() {
        let mut cgroups = Cgroups::new();
        match fs::metadata(&cgroups.root) {
            Ok(root) => assert_eq!(cgroups.path(root.ino()), "/"),
            Err(error) => eprintln!("SKIPPED: no {}: {error}", cgroups.root.display()),
        }
    }
}
