//! From the kernel's number of a control group to its path.
//!
//! On 64-bit machines the number that `bpf_get_current_cgroup_id` gives is the inode number of the group's directory
//! (since Linux 5.5, commit 40430452fd5d). Numbers are not used again, so what was learnt once stays true until the
//! directory is gone.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a group is called that is gone, or not to be seen from here. All of them share it: series stay few.
pub const GONE: &str = "(gone)";

/// Questions this close to one another belong to one scrape, for which the tree is walked once.
const SAME_SCRAPE: Duration = Duration::from_millis(20);

/// The control groups of this machine, as far as they were asked for.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    paths: HashMap<u64, String>,
    walked: Option<Instant>,
}

impl Default for Cgroups {
    fn default() -> Self {
        Self::new()
    }
}

impl Cgroups {
    /// The groups below the mount of the unified hierarchy.
    pub fn new() -> Self {
        Self::below(root())
    }

    fn below(root: PathBuf) -> Self {
        Self {
            root,
            paths: HashMap::new(),
            walked: None,
        }
    }

    /// The path of a group below the mount, `/` for the root, [`GONE`] for one that is not there.
    pub fn path(&mut self, id: u64) -> String {
        if let Some(path) = self.known(id) {
            return path;
        }
        if self.walked.is_none_or(|walked| walked.elapsed() >= SAME_SCRAPE) {
            self.paths.clear();
            // A tree that cannot be read leaves its groups unknown, which is what their label then says.
            let _ = self.walk();
            self.walked = Some(Instant::now());
        }
        self.known(id).unwrap_or_else(|| GONE.to_owned())
    }

    /// A path that still is the one of this group.
    fn known(&self, id: u64) -> Option<String> {
        let path = self.paths.get(&id)?;
        let metadata = fs::metadata(self.root.join(path.trim_start_matches('/'))).ok()?;
        (metadata.ino() == id).then(|| path.clone())
    }

    fn walk(&mut self) -> io::Result<()> {
        self.paths.insert(fs::metadata(&self.root)?.ino(), "/".to_owned());
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            // A group may go while its parent is read.
            let Ok(entries) = fs::read_dir(self.root.join(folder.trim_start_matches('/'))) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                    self.paths.insert(entry.ino(), path.clone());
                    folders.push(path);
                }
            }
        }
        Ok(())
    }
}

/// Where the unified hierarchy is mounted.
pub fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mount_point(&mounts).unwrap_or_else(|| PathBuf::from("/sys/fs/cgroup"))
}

/// Where the unified hierarchy is mounted, from the text of `/proc/self/mounts`.
fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| Path::new(place).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_hierarchy_is_found_among_others() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(mount_point(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_point("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn groups_have_paths_until_they_are_gone() {
        let root = std::env::temp_dir().join(format!("probelab-cgroups-{}", std::process::id()));
        let group = root.join("system.slice/web.service");
        fs::create_dir_all(&group).unwrap();
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        let (root_id, web) = (id(&root), id(&group));
        let mut cgroups = Cgroups::below(root.clone());
        assert_eq!(cgroups.path(root_id), "/");
        assert_eq!(cgroups.path(web), "/system.slice/web.service");
        assert_eq!(cgroups.path(u64::MAX), GONE);

        let late = root.join("late");
        fs::create_dir(&late).unwrap();
        std::thread::sleep(SAME_SCRAPE);
        assert_eq!(cgroups.path(id(&late)), "/late");

        fs::remove_dir(&group).unwrap();
        assert_eq!(cgroups.path(web), GONE);
        fs::remove_dir_all(&root).unwrap();
    }
}
