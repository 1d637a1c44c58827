//! Where the lab keeps what it made or fetched, and what it costs.
//!
//! Everything here can be deleted at any time; it is made again. Half-made things live in names that begin
//! with a dot and are swept by [`Cache::prune`].

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::{IoContext, Result, digest::real_bytes};

/// The environment variable that moves the cache.
pub const VARIABLE: &str = "PROBELAB_CACHE";

/// The kinds of things in the cache, each a folder.
pub const KINDS: [&str; 6] = ["checkpoints", "kernels", "rootfs", "packages", "apt", "records"];

/// A process works on what was touched within this time, as far as its age can tell.
const RECENT: Duration = Duration::from_secs(3600);

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// One thing in the cache.
#[derive(Debug, Clone, Serialize)]
pub struct Item {
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// Its name within the kind.
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// Bytes it occupies on the disk.
    pub bytes: u64,
    /// Seconds since it was last used.
    pub unused_seconds: u64,
    /// Where it is.
    pub path: PathBuf,
}

impl Cache {
    /// The cache at `PROBELAB_CACHE`, else `$XDG_CACHE_HOME/probelab`, else `~/.cache/probelab`.
    pub fn open() -> Result<Self> {
        let root = std::env::var_os(VARIABLE)
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("XDG_CACHE_HOME").map(|path| PathBuf::from(path).join("probelab")))
            .or_else(|| std::env::var_os("HOME").map(|path| PathBuf::from(path).join(".cache/probelab")))
            .unwrap_or_else(|| std::env::temp_dir().join("probelab"));
        Self::at(&root)
    }

    /// The cache in a given folder.
    pub fn at(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).at("creating", root)?;
        let root = root.canonicalize().at("finding", root)?;
        Ok(Self { root })
    }

    /// The folder of a kind, created when missing.
    pub fn folder(&self, kind: &str) -> Result<PathBuf> {
        let path = self.root.join(kind);
        fs::create_dir_all(&path).at("creating", &path)?;
        Ok(path)
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything in the cache, largest first.
    pub fn list(&self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for kind in KINDS {
            let folder = self.folder(kind)?;
            for entry in fs::read_dir(&folder).at("listing", &folder)? {
                let path = entry.at("listing", &folder)?.path();
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                if name.ends_with(".lock") {
                    continue;
                }
                items.push(Item {
                    kind,
                    about: about(&path),
                    bytes: size(&path),
                    unused_seconds: unused(&path).as_secs(),
                    name,
                    path,
                });
            }
        }
        items.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        Ok(items)
    }

    /// Deletes what was not used for `older_than`, and every half-made thing that nobody works on. Returns
    /// what was deleted. A thing in use by another process is left alone.
    pub fn prune(&self, older_than: Duration, kinds: &[String]) -> Result<Vec<Item>> {
        let mut gone = Vec::new();
        for item in self.list()? {
            let half_made = item.name.starts_with('.');
            let wanted = kinds.is_empty() || kinds.iter().any(|kind| kind == item.kind);
            let old = item.unused_seconds >= older_than.as_secs();
            // A build touches its folder all the time; an hour of silence means that its process is gone.
            let abandoned = half_made && item.unused_seconds >= RECENT.min(older_than).as_secs();
            if abandoned || (wanted && old && !half_made) {
                if is_locked(&item.path) {
                    continue;
                }
                remove(&item.path)?;
                gone.push(item);
            }
        }
        Ok(gone)
    }

    /// Deletes checkpoints, the longest unused first, until there is room; never one that was used within the last hour,
    /// which a run may be about to restore. Returns what was deleted.
    pub fn make_room(&self, has_room: impl Fn() -> bool) -> Result<Vec<Item>> {
        let mut checkpoints = self.list()?;
        checkpoints.retain(|item| {
            item.kind == "checkpoints"
                && item.unused_seconds >= RECENT.as_secs()
                && !item.name.starts_with('.')
        });
        checkpoints.sort_by_key(|item| item.unused_seconds);
        let mut gone = Vec::new();
        while !has_room()
            && let Some(item) = checkpoints.pop()
        {
            if is_locked(&item.path) {
                continue;
            }
            match remove(&item.path) {
                Ok(()) => gone.push(item),
                // Another process that needs room took it first.
                Err(_) if !item.path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }
}

/// Marks a thing as used now.
pub fn touch(path: &Path) {
    // A cache on a read-only disk still works; only its ages are then those of its making.
    let now = SystemTime::now();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.set_modified(now);
    }
}

/// Deletes a folder or file that may have been made read-only.
pub fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
    .at("deleting", path)
}

/// Bytes that the file system of `path` has left.
pub fn free_bytes(path: &Path) -> u64 {
    // An unknown file system is assumed to have room; a write will tell.
    nix::sys::statvfs::statvfs(path).map_or(u64::MAX, |stat| stat.blocks_available() * stat.fragment_size())
}

fn about(path: &Path) -> String {
    fs::read_to_string(path.join("about"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn is_locked(path: &Path) -> bool {
    let lock = PathBuf::from(format!("{}.lock", path.display()));
    fs::File::open(lock).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return real_bytes(path);
    }
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

fn unused(path: &Path) -> Duration {
    fs::symlink_metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prune_takes_what_is_old_and_leaves_what_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let checkpoints = cache.folder("checkpoints").unwrap();
        for name in ["a", "b"] {
            fs::create_dir(checkpoints.join(name)).unwrap();
        }
        let lock = fs::File::create(checkpoints.join("b.lock")).unwrap();
        lock.lock().unwrap();
        let gone = cache.prune(Duration::ZERO, &["checkpoints".into()]).unwrap();
        assert_eq!(
            gone.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(),
            ["a"]
        );
        assert!(checkpoints.join("b").exists());
    }

    #[test]
    fn room_is_made_of_checkpoints_that_nobody_used_lately_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let checkpoints = cache.folder("checkpoints").unwrap();
        let aged = |path: PathBuf, hours: u64| {
            fs::create_dir(&path).unwrap();
            let used = SystemTime::now() - Duration::from_secs(hours * 3600);
            fs::File::open(&path).unwrap().set_modified(used).unwrap();
        };
        for (name, hours) in [("today", 0), ("older", 3), ("oldest", 4), ("old", 2)] {
            aged(checkpoints.join(name), hours);
        }
        aged(cache.folder("records").unwrap().join("record"), 5);
        let names = |gone: Vec<Item>| gone.into_iter().map(|item| item.name).collect::<Vec<_>>();
        let gone = cache.make_room(|| !checkpoints.join("older").exists());
        assert_eq!(names(gone.unwrap()), ["oldest", "older"]);
        assert_eq!(names(cache.make_room(|| true).unwrap()), [""; 0]);
        let another_is_first = || {
            let _ = fs::remove_dir(checkpoints.join("old"));
            false
        };
        aged(checkpoints.join("old-too"), 1);
        assert_eq!(names(cache.make_room(another_is_first).unwrap()), ["old-too"]);
        assert!(checkpoints.join("today").exists());
    }
}
