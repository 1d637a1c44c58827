//! The kernel half in place: on its function, in one file or in those of all watched processes, proven and read.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use probe::{
    accounting::{Hits, Programs, ReadError},
    cgroups::{Cgroups, GONE},
    loader::{Hook, Knobs, Link, Loader, Object},
    maps::{self, MapError, PerCpuArray, PerCpuHash},
    object_file,
    select::{Criteria, FileId, Selection, Targets},
    stats::unaccounted,
};

use crate::{
    place::{AttachError, Function, Place, find, find_in, kernel_hint},
    proof,
    spec::Control,
    tally::{Calls, Entry, Tally},
    types::{CALLS_FILTERED_STIMULUS, CALLS_RECORDED_CALL, CALLS_VERDICTS, calls_counters, calls_key},
};

/// Inode number of the PID namespace that the kernel numbers processes in (PROC_PID_INIT_INO, fixed since Linux 3.8).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// How often the stimulus is called; each call must be seen.
const STIMULI: u64 = 3;

/// What to count and with how much memory.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) function: Function,
    /// Pairs of process and control group that are counted at once.
    pub(crate) max_entries: u32,
    /// Processes with a series of their own; 0: they are not told apart.
    pub(crate) max_processes: u32,
    /// For the lab's negative controls only.
    pub(crate) control: Option<Control>,
}

/// A reading of all counters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Calls by path of control group and by process.
    pub(crate) by_cgroup: Vec<(String, u64)>,
    pub(crate) by_process: Vec<(String, u64)>,
    /// Runs, by `CALLS_VERDICT`, beside the kernel's own count of them.
    pub(crate) hits: Hits,
    /// Counters in the map.
    pub(crate) entries: u64,
    /// Whether what the hook lies in is still what the path leads to.
    pub(crate) is_current: bool,
}

/// The counter in place. Dropping it takes it off.
pub(crate) struct Counter {
    config: Config,
    /// Where it is. Without targets, one place.
    places: Vec<(Place, Link)>,
    /// Files of watched processes in which it could not be put, so that it is said once.
    refused: BTreeSet<FileId>,
    selection: Selection,
    /// Whether it was told whom to watch.
    has_targets: bool,
    object: Object,
    calls: PerCpuHash<calls_key, u64>,
    counters: PerCpuArray<calls_counters>,
    programs: Programs,
    tally: Tally,
    cgroups: Cgroups,
    /// Counters of groups that could not be seen, as they were at the last look.
    unseen: Vec<Entry>,
}

/// Whether the kernel's numbers of processes are those that this process sees.
fn sees_all_processes() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == INITIAL_PID_NAMESPACE)
}

fn is_alive(process: u32) -> bool {
    let Ok(process) = i32::try_from(process) else {
        return false;
    };
    kill(Pid::from_raw(process), None) != Err(Errno::ESRCH)
}

/// Sees that a hook lies where it was asked to be.
fn see(place: &Place) -> Result<(), String> {
    let Place::Program {
        path,
        offset_bytes,
        is_shared,
        ..
    } = place
    else {
        return Ok(());
    };
    if *is_shared {
        tracing::info!(
            "something else had a breakpoint there before: that ours is there is the kernel's word alone"
        );
    }
    let lies_there = proof::has_breakpoint(path, *offset_bytes)
        .map_err(|error| format!("cannot look at {}: {error}", path.display()))?;
    if lies_there {
        return Ok(());
    }
    Err(format!(
        "the hook was accepted, but {} has no breakpoint at {offset_bytes:#x} when it is mapped: its file system may \
         forbid execution",
        path.display()
    ))
}

/// Puts the program on a place.
fn hang(object: &mut Object, function: &Function, place: &Place) -> Result<Link, AttachError> {
    let ([program, _], _) = function.programs();
    object
        .attach(program, &place.hook())
        .map_err(|error| match place {
            Place::Kernel { name } => kernel_hint(name, error),
            Place::Program { .. } => error.into(),
        })
}

impl Counter {
    /// Loads the kernel half and puts it where the function is: where the configuration says, or, if there are targets,
    /// wherever the program's path leads to for one of them, now and later.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing stays attached then. That targets do not have the program yet is none.
    pub(crate) fn attach(
        loader: Loader,
        mut config: Config,
        targets: Option<&Targets>,
    ) -> Result<Self, AttachError> {
        if config.max_processes > 0 && !sees_all_processes() {
            tracing::warn!("this is not the initial PID namespace: calls are not told apart by process");
            config.max_processes = 0;
        }
        let is_followed = targets.is_some() && matches!(config.function, Function::Program { .. });
        let fixed = (!is_followed).then(|| find(&config.function)).transpose()?;
        let (name, bytes) = match config.control {
            Some(Control::ZeroKey) => object_file!("calls.zero_key"),
            Some(Control::PointerAdd) => object_file!("calls.pointer_add"),
            None => object_file!("calls"),
        };
        let (names, [other, other_stimulus]) = config.function.programs();
        let by_process = [u8::from(config.max_processes > 0)];
        let criteria = Criteria::of(targets);
        let knobs = criteria
            .knobs(Knobs::default())
            .global("calls_by_process", &by_process)
            .max_entries("calls", config.max_entries)
            .without(other)
            .without(other_stimulus);
        let mut object = Object::load(loader, name, bytes, &knobs)?;
        let programs = Programs::before_attach(&object, &names)?;
        let places = match fixed {
            Some(place) => {
                let link = hang(&mut object, &config.function, &place)?;
                vec![(place, link)]
            }
            None => Vec::new(),
        };
        let mut counter = Self {
            calls: object.map("calls")?,
            counters: object.map("counters")?,
            selection: Selection::of(&object)?,
            tally: Tally::new(config.max_processes as usize),
            cgroups: Cgroups::new(),
            unseen: Vec::new(),
            refused: BTreeSet::new(),
            has_targets: targets.is_some(),
            config,
            places,
            object,
            programs,
        };
        if let Some(targets) = targets {
            counter.select(targets)?;
        }
        Ok(counter)
    }

    /// Watches these targets from now on, and is in the files that the program's path leads to for them.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub(crate) fn select(&mut self, targets: &Targets) -> Result<(), MapError> {
        self.selection.set(targets)?;
        if let Function::Program { path, .. } = &self.config.function {
            let files = targets.files(path);
            self.follow(&files);
        }
        Ok(())
    }

    fn follow(&mut self, files: &[(FileId, PathBuf)]) {
        self.places
            .retain(|(place, _)| files.iter().any(|(id, _)| place.is_in(*id)));
        self.refused
            .retain(|refused| files.iter().any(|(id, _)| id == refused));
        for (id, path) in files {
            if self.refused.contains(id) || self.places.iter().any(|(place, _)| place.is_in(*id)) {
                continue;
            }
            let function = &self.config.function;
            let object = &mut self.object;
            let hung = find_in(function, path)
                .and_then(|place| hang(object, function, &place).map(|link| (place, link)));
            match hung {
                Ok((place, link)) => {
                    if let Err(reason) = see(&place) {
                        tracing::error!("{reason}");
                    }
                    self.places.push((place, link));
                }
                Err(error) => {
                    tracing::error!("calls of {} are not counted: {error}", path.display());
                    self.refused.insert(*id);
                }
            }
        }
    }

    /// What it was configured with.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Sees that such hooks fire here, and that each lies where it was asked to be.
    ///
    /// # Errors
    /// The reason in words when either is not so.
    pub(crate) fn prove(&mut self) -> Result<(), String> {
        self.stimulate()?;
        self.places.iter().try_for_each(|(place, _)| see(place))
    }

    fn stimulate(&mut self) -> Result<(), String> {
        let ([_, stimulus], _) = self.config.function.programs();
        let before = self.stimuli()?;
        let offset_bytes;
        let (hook, call): (Hook<'_>, fn()) = match self.config.function {
            Function::Program { .. } => {
                offset_bytes = proof::stimulus_offset_bytes()?;
                let path = Path::new(proof::OWN_FILE);
                (Hook::Uprobe { path, offset_bytes }, || proof::stimulus())
            }
            Function::Kernel { .. } => {
                let function = proof::KERNEL_STIMULUS;
                (Hook::Kprobe { function }, proof::kernel_stimulus)
            }
        };
        let link = self
            .object
            .attach(stimulus, &hook)
            .map_err(|error| error.to_string())?;
        for _ in 0..STIMULI {
            call();
        }
        drop(link);
        match self.stimuli()? - before {
            // Other processes may be in the kernel's function at the same time.
            seen if seen >= STIMULI => Ok(()),
            seen => Err(format!(
                "hooks of this kind do not fire here: {seen} of {STIMULI} calls of {hook} were seen"
            )),
        }
    }

    fn stimuli(&self) -> Result<u64, String> {
        let verdicts = self.verdicts().map_err(|error| error.to_string())?;
        Ok(verdicts[CALLS_FILTERED_STIMULUS as usize])
    }

    fn verdicts(&self) -> Result<[u64; CALLS_VERDICTS as usize], MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?).verdicts)
    }

    /// A watched process may end and its path with it, while others run the same file.
    fn is_current(&self) -> bool {
        !self.places.is_empty()
            && (self.has_targets || self.places.iter().all(|(place, _)| place.is_current()))
    }

    fn entries(&self) -> Result<Vec<Entry>, MapError> {
        let mut entries = Vec::new();
        for entry in self.calls.iter() {
            let (key, cpus) = entry?;
            entries.push(Entry {
                cgroup: key.cgroup,
                process: key.process,
                calls: cpus.iter().sum(),
            });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    /// Takes the counters of who is gone out of the map. What is left is returned.
    ///
    /// # Errors
    /// When the map cannot be read or written.
    pub(crate) fn sweep(&mut self) -> Result<Vec<Entry>, MapError> {
        let entries = self.entries()?;
        let mut gone = self.tally.end(&entries, is_alive);
        let mut unseen = Vec::new();
        for entry in entries.iter().filter(|entry| entry.process == 0) {
            if self.cgroups.path(entry.cgroup) != GONE {
                continue;
            }
            // It may be one that cannot be seen from here and lives on; one that did not count since is idle at least.
            if self.unseen.contains(entry) {
                self.tally.end_group(entry);
                gone.push(*entry);
            } else {
                unseen.push(*entry);
            }
        }
        self.unseen = unseen;
        for entry in &gone {
            let key = calls_key {
                cgroup: entry.cgroup,
                process: entry.process,
                pad: 0,
            };
            maps::removed(self.calls.remove(&key))?;
        }
        let cgroups = &mut self.cgroups;
        self.tally.forget_groups(|cgroup| cgroups.path(cgroup) == GONE);
        Ok(entries
            .into_iter()
            .filter(|entry| !gone.contains(entry))
            .collect())
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When a map or a program's statistics cannot be read.
    pub(crate) fn read(&mut self) -> Result<Reading, ReadError> {
        let recorded = |verdicts: &[u64]| verdicts[CALLS_RECORDED_CALL as usize];
        let before = recorded(&self.verdicts()?);
        let entries = self.sweep()?;
        let calls: Calls = self.tally.sum(&entries);
        let mut hits = self.programs.hits(&self.object, || self.verdicts())?;
        // The counters must hold as many calls as were said to be recorded.
        hits.unaccounted += unaccounted(before, calls.total(), recorded(&hits.verdicts));
        Ok(Reading {
            by_cgroup: calls
                .by_cgroup
                .iter()
                .map(|(cgroup, count)| (self.cgroups.path(*cgroup), *count))
                .collect(),
            by_process: calls.by_process.into_iter().collect(),
            hits,
            entries: entries.len() as u64,
            is_current: self.is_current(),
        })
    }
}
