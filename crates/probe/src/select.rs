//! Whom a probe watches: tasks of some control groups, of some program, or both. The kernel half is `bpf/selected.h`.
//!
//! Knows control groups by number and programs by path. Who they belong to (containers, pods) is for others to know.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::sys::stat::{major, minor};

use crate::{
    loader::{Knobs, LoadError, Object},
    maps::{self, Hash, MapError},
};

mod types {
    //! The types shared with the kernel half, from `bpf/select.h` by bindgen.
    include!(concat!(env!("OUT_DIR"), "/types.rs"));
}

use types::{SELECT_BY_CGROUP, SELECT_BY_PROGRAM, select_program};

/// Control groups, and files of programs, that one probe can be told of. About 60 bytes each.
const MAX_SELECTED: u32 = 8192;

/// Whom to watch now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// Control groups by number; `None`: tasks of any.
    pub cgroups: Option<BTreeSet<u64>>,
    /// Path of the program that a task must run; `None`: any.
    pub program: Option<PathBuf>,
    /// Root directories in which paths of programs are looked up: the daemon's own, and those of watched processes.
    pub roots: Vec<PathBuf>,
}

impl Targets {
    /// Where a program's path leads to from each of the roots, each file once.
    pub fn files(&self, program: &Path) -> Vec<(FileId, PathBuf)> {
        let mut seen = BTreeSet::new();
        let inside = program.strip_prefix("/").unwrap_or(program);
        self.roots
            .iter()
            .map(|root| root.join(inside))
            .filter_map(|path| Some((FileId::of(&path).ok()?, path)))
            .filter(|(id, _)| seen.insert(*id))
            .collect()
    }
}

/// What stays the same about a file whatever its paths are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    /// Number of its device, as `stat` gives it.
    pub device: u64,
    /// Number of its inode.
    pub inode: u64,
}

impl FileId {
    /// Of the file that a path leads to.
    ///
    /// # Errors
    /// When there is none, or it may not be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// The kernel packs the two halves of a device's number in another way than it shows them.
    fn in_kernel(self) -> select_program {
        select_program {
            device: (major(self.device) << 20) | minor(self.device),
            inode: self.inode,
        }
    }
}

/// What is asked of tasks. It is part of the program, so it stays the same while a probe is attached.
#[derive(Debug, Clone)]
pub struct Criteria {
    by: [u8; 4],
    max_entries: u32,
}

impl Criteria {
    /// What these targets ask for; without any, every task will do.
    pub fn of(targets: Option<&Targets>) -> Self {
        let mut by = 0;
        if let Some(targets) = targets {
            by |= targets.cgroups.as_ref().map_or(0, |_| SELECT_BY_CGROUP);
            by |= targets.program.as_ref().map_or(0, |_| SELECT_BY_PROGRAM);
        }
        Self {
            by: by.to_ne_bytes(),
            max_entries: if by == 0 { 1 } else { MAX_SELECTED },
        }
    }

    /// Adds what the kernel half has to know before it is loaded.
    pub fn knobs<'a>(&'a self, knobs: Knobs<'a>) -> Knobs<'a> {
        knobs
            .global("select_by", &self.by)
            .max_entries("selected_cgroups", self.max_entries)
            .max_entries("selected_programs", self.max_entries)
    }
}

/// The selection of one loaded object.
pub struct Selection {
    cgroups: Set<u64>,
    programs: Set<select_program>,
}

impl Selection {
    /// Of an object whose kernel half includes `selected.h`.
    ///
    /// # Errors
    /// When it does not.
    pub fn of(object: &Object) -> Result<Self, LoadError> {
        Ok(Self {
            cgroups: Set::new(object.map("selected_cgroups")?),
            programs: Set::new(object.map("selected_programs")?),
        })
    }

    /// Tells the kernel half whom to watch from now on. Control groups that are no longer among them are returned.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn set(&mut self, targets: &Targets) -> Result<Vec<u64>, MapError> {
        let programs = targets.program.as_deref().map(|program| {
            let files = targets.files(program).into_iter();
            files.map(|(id, _)| id.in_kernel()).collect()
        });
        self.programs.set(programs.unwrap_or_default())?;
        self.cgroups.set(targets.cgroups.clone().unwrap_or_default())
    }
}

/// A map that is a set, and what is in it.
struct Set<T: maps::Pod> {
    map: Hash<T, u8>,
    members: BTreeSet<T>,
}

impl<T: maps::Pod + Ord> Set<T> {
    fn new(map: Hash<T, u8>) -> Self {
        Self {
            map,
            members: BTreeSet::new(),
        }
    }

    /// Makes these its members, as many as there is room for, and returns who is one no more.
    fn set(&mut self, wanted: BTreeSet<T>) -> Result<Vec<T>, MapError> {
        let gone: Vec<T> = self.members.difference(&wanted).copied().collect();
        for member in &gone {
            maps::removed(self.map.remove(member))?;
            self.members.remove(member);
        }
        let room = MAX_SELECTED as usize;
        if wanted.len() > room {
            tracing::error!("{} are selected, of which {room} can be watched", wanted.len());
        }
        for member in wanted {
            if self.members.len() < room && !self.members.contains(&member) {
                self.map.insert(member, 1, 0)?;
                self.members.insert(member);
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_up_in_every_root_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = |name: &str| {
            let root = folder.path().join(name);
            fs::create_dir(&root).unwrap();
            root
        };
        let (one, two, empty) = (root("one"), root("two"), root("empty"));
        fs::write(one.join("test"), "1").unwrap();
        fs::hard_link(one.join("test"), two.join("test")).unwrap();
        let targets = Targets {
            roots: vec![empty, two.clone(), one.clone()],
            ..Targets::default()
        };
        let found = targets.files(Path::new("/test"));
        let id = FileId::of(&one.join("test")).unwrap();
        assert_eq!(found, [(id, two.join("test"))]);
        assert!(targets.files(Path::new("/other")).is_empty());
    }

    #[test]
    fn devices_are_packed_as_in_the_kernel() {
        let id = FileId {
            device: nix::sys::stat::makedev(259, 3),
            inode: 7,
        };
        assert_eq!(id.in_kernel().device, 259 << 20 | 3);
    }

    #[test]
    fn who_asks_for_nothing_pays_for_nothing() {
        assert_eq!(Criteria::of(None).by, [0; 4]);
        assert_eq!(Criteria::of(None).max_entries, 1);
        let targets = Targets {
            cgroups: Some(BTreeSet::new()),
            ..Targets::default()
        };
        assert_eq!(Criteria::of(Some(&targets)).by, SELECT_BY_CGROUP.to_ne_bytes());
    }
}
