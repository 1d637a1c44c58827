//! The run's part of the machine's control groups: one folder, which is the root of all that the run sees.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// The controllers that scenarios set limits with.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// Where PID 1 of the run is: a group that gives controllers to others must hold no process itself.
const FIRST: &str = "probelab-init";
/// The kernel needs a moment for the last process of a group.
const ATTEMPTS: u32 = 100;

/// The run's group.
pub struct Cgroup {
    path: PathBuf,
    root: PathBuf,
    /// Whether the run sets limits. Without any it gets no controllers: then its processes may be in any of its groups.
    has_limits: bool,
    /// Controllers that were given to groups for this run.
    given: Vec<&'static str>,
}

impl Cgroup {
    /// Makes the group for a run with these groups of its own. Without control groups of version 2 there is none, which
    /// is an error when the run has some.
    pub fn create(groups: &BTreeMap<String, BTreeMap<String, String>>) -> Result<Option<Self>> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("reading the mounts")?;
        let Some(root) = mount_point(&mounts) else {
            if !groups.is_empty() {
                bail!("this machine has no control groups of version 2");
            }
            return Ok(None);
        };
        let mut cgroup = Self {
            path: root.join(format!("probelab-{}", std::process::id())),
            root,
            has_limits: groups.values().any(|settings| !settings.is_empty()),
            given: Vec::new(),
        };
        match cgroup.make() {
            Ok(()) => Ok(Some(cgroup)),
            Err(error) => {
                // The first error is the one to tell.
                let _ = cgroup.take_controllers();
                if groups.is_empty() { Ok(None) } else { Err(error) }
            }
        }
    }

    fn make(&mut self) -> Result<()> {
        if self.has_limits {
            let given = read(&self.root.join("cgroup.subtree_control"))?;
            for controller in controllers(&self.root)? {
                if !given.split_whitespace().any(|known| known == controller) {
                    give(&self.root, controller, '+')?;
                    self.given.push(controller);
                }
            }
        }
        fs::create_dir(&self.path).with_context(|| format!("creating {}", self.path.display()))
    }

    fn take_controllers(&self) -> Result<()> {
        self.given
            .iter()
            .try_for_each(|controller| give(&self.root, controller, '-'))
    }

    /// Moves this process into the group.
    pub fn enter(&self) -> Result<()> {
        join(&self.path)
    }

    /// Moves this process, for which the group is the root by now, out of the way of the scenario's groups.
    pub fn step_aside(&self) -> Result<()> {
        let path = self.path.join(FIRST);
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        join(&path)?;
        if self.has_limits {
            for controller in controllers(&self.path)? {
                give(&self.path, controller, '+')?;
            }
        }
        Ok(())
    }

    /// Takes the group away with everything in it.
    pub fn remove(&self) -> Result<()> {
        remove_tree(&self.path)?;
        self.take_controllers()
    }
}

/// Those of the controllers that a group has. A machine in use may have others elsewhere, in groups of version 1.
fn controllers(group: &Path) -> Result<Vec<&'static str>> {
    let known = read(&group.join("cgroup.controllers"))?;
    let known: Vec<&str> = known.split_whitespace().collect();
    Ok(CONTROLLERS
        .into_iter()
        .filter(|name| known.contains(name))
        .collect())
}

/// Gives a controller to what is below a group, or takes it away.
fn give(group: &Path, controller: &str, sign: char) -> Result<()> {
    let file = group.join("cgroup.subtree_control");
    fs::write(&file, format!("{sign}{controller}"))
        .with_context(|| format!("writing {sign}{controller} to {}", file.display()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn join(group: &Path) -> Result<()> {
    let file = group.join("cgroup.procs");
    fs::write(&file, "0").with_context(|| format!("writing {}", file.display()))
}

fn remove_tree(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    for _ in 1..ATTEMPTS {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other.with_context(|| format!("deleting {}", folder.display())),
        }
    }
    fs::remove_dir(folder).with_context(|| format!("deleting {}", folder.display()))
}

/// Where the hierarchy of version 2 is mounted.
fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, target, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(target))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_of_version_2_is_found_among_others() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(mount_point(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_point("proc /proc proc rw 0 0\n"), None);
    }
}
