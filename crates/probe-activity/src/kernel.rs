//! The kernel half in place: on its tracepoints, proven and read.

use std::{
    ffi::CStr,
    fs::File,
    io,
    process::{Command, Stdio},
};

use nix::{errno::Errno, unistd::execve};
use probe::{
    accounting::{Hits, Programs, ReadError},
    cgroups::{Cgroups, GONE},
    loader::{Hook, Knobs, Link, LoadError, Loader, Object},
    maps::{self, MapError, PerCpuArray, PerCpuHash},
    object_file,
    proof::prove,
    stats::unaccounted,
};

use crate::{
    spec::Control,
    tally::{Counts, Shown, Tally},
    types::{
        ACTIVITY_EXEC, ACTIVITY_OPEN, ACTIVITY_RECORDED_EXEC, ACTIVITY_RECORDED_OPEN,
        ACTIVITY_RECORDED_SYSCALL, ACTIVITY_VERDICTS, activity_classes, activity_counters, activity_result,
    },
};

const SYS_ENTER: &str = "activity_sys_enter";
const SYS_EXIT: &str = "activity_sys_exit";
const EXECUTED: &str = "activity_sched_process_exec";

/// What to count and with how much memory.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) exec: bool,
    pub(crate) open: bool,
    pub(crate) syscalls: bool,
    /// Control groups whose system calls are counted at once.
    pub(crate) max_cgroups: u32,
    /// Pairs of control group and result that are counted at once.
    pub(crate) max_results: u32,
    /// For the lab's negative control only.
    pub(crate) control: Option<Control>,
}

impl Config {
    /// The programs it takes, each with the tracepoint it is on; and those it does not.
    fn programs(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let all = [
            (
                SYS_ENTER,
                self.syscalls || self.control == Some(Control::ExecveOnly),
            ),
            (SYS_EXIT, self.exec || self.open),
            (EXECUTED, self.exec),
        ];
        let (needed, not): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, needed)| *needed);
        let names =
            |programs: Vec<(&'static str, bool)>| programs.into_iter().map(|(name, _)| name).collect();
        (names(needed), names(not))
    }
}

/// A reading of all counters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) shown: Shown,
    /// Runs, by `ACTIVITY_VERDICT`, beside the kernel's own count of them.
    pub(crate) hits: Hits,
    /// Counters in the maps: of results, of groups.
    pub(crate) entries: [u64; 2],
}

/// The probe in place. Dropping it takes it off.
pub(crate) struct Activity {
    config: Config,
    object: Object,
    _links: Vec<Link>,
    results: PerCpuHash<activity_result, u64>,
    cgroups_map: PerCpuHash<u64, activity_classes>,
    counters: PerCpuArray<activity_counters>,
    programs: Programs,
    tally: Tally,
    cgroups: Cgroups,
}

impl Activity {
    /// Loads the kernel half and puts it on its tracepoints.
    ///
    /// # Errors
    /// When the kernel or the loader refuses; nothing stays attached then.
    pub(crate) fn attach(loader: Loader, config: Config) -> Result<Self, LoadError> {
        let (name, bytes) = match config.control {
            Some(Control::ExecveOnly) => object_file!("activity.execve_only"),
            None => object_file!("activity"),
        };
        let flags = [u8::from(config.exec), u8::from(config.open)];
        let (names, left_out) = config.programs();
        let knobs = Knobs::default()
            .global("activity_exec", &flags[..1])
            .global("activity_open", &flags[1..])
            .max_entries("cgroups", config.max_cgroups)
            .max_entries("results", config.max_results);
        let knobs = left_out.into_iter().fold(knobs, Knobs::without);
        let mut object = Object::load(loader, name, bytes, &knobs)?;
        let programs = Programs::before_attach(&object, &names)?;
        let links = names
            .iter()
            .map(|program| object.attach(program, &Hook::BtfTracepoint))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            results: object.map("results")?,
            cgroups_map: object.map("cgroups")?,
            counters: object.map("counters")?,
            config,
            object,
            _links: links,
            programs,
            tally: Tally::default(),
            cgroups: Cgroups::new(),
        })
    }

    /// What it was configured with.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Opens a file, executes a program and fails to execute one, each of which must be seen.
    ///
    /// # Errors
    /// Which was not seen.
    pub(crate) fn prove(&mut self) -> Result<(), String> {
        if self.config.syscalls {
            self.must_see(ACTIVITY_RECORDED_SYSCALL, "sys_enter", "a system call", || Ok(()))?;
        }
        if self.config.open {
            let open = || File::open("/").map(drop);
            self.must_see(ACTIVITY_RECORDED_OPEN, "sys_exit", "an open", open)?;
        }
        if self.config.exec && self.config.control.is_none() {
            self.must_see(ACTIVITY_RECORDED_EXEC, "sched_process_exec", "an exec", execute)?;
            self.must_see(
                ACTIVITY_RECORDED_EXEC,
                "sys_exit",
                "a failed exec",
                fail_to_execute,
            )?;
        }
        Ok(())
    }

    fn must_see(
        &self,
        verdict: u32,
        tracepoint: &str,
        what: &str,
        act: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), String> {
        prove(
            || Ok(self.verdicts()?[verdict as usize]),
            || act().map_err(|error| format!("{what} that {tracepoint} must see cannot be made: {error}")),
            || format!("tracepoint {tracepoint} is attached but silent: it did not see {what}"),
        )
    }

    fn verdicts(&self) -> Result<[u64; ACTIVITY_VERDICTS as usize], MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?).verdicts)
    }

    fn counts(&self) -> Result<Counts, MapError> {
        let mut counts = Counts::default();
        for entry in self.results.iter() {
            let (key, cpus) = entry?;
            counts.results.insert(key, cpus.iter().sum());
        }
        for entry in self.cgroups_map.iter() {
            let (cgroup, cpus) = entry?;
            counts.classes.insert(cgroup, maps::sum(&cpus).calls);
        }
        Ok(counts)
    }

    /// Takes the counters of groups that are gone out of the maps. What is left is returned.
    ///
    /// # Errors
    /// When a map cannot be read or written.
    pub(crate) fn sweep(&mut self) -> Result<Counts, MapError> {
        let mut counts = self.counts()?;
        let cgroups = &mut self.cgroups;
        let ended = self.tally.end(&mut counts, |cgroup| cgroups.path(cgroup), GONE);
        for key in ended.results.keys() {
            maps::removed(self.results.remove(key))?;
        }
        for cgroup in ended.classes.keys() {
            maps::removed(self.cgroups_map.remove(cgroup))?;
        }
        Ok(counts)
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When a map or a program's statistics cannot be read.
    pub(crate) fn read(&mut self) -> Result<Reading, ReadError> {
        let before = self.verdicts()?;
        let counts = self.sweep()?;
        let cgroups = &mut self.cgroups;
        let shown = self.tally.show(&counts, |cgroup| cgroups.path(cgroup));
        let mut hits = self.programs.hits(&self.object, || self.verdicts())?;
        // The maps must hold as many events as were said to be recorded.
        for (verdict, held) in [
            (ACTIVITY_RECORDED_EXEC, shown.count(ACTIVITY_EXEC)),
            (ACTIVITY_RECORDED_OPEN, shown.count(ACTIVITY_OPEN)),
            (ACTIVITY_RECORDED_SYSCALL, shown.calls()),
        ] {
            let verdict = verdict as usize;
            hits.unaccounted += unaccounted(before[verdict], held, hits.verdicts[verdict]);
        }
        Ok(Reading {
            shown,
            hits,
            entries: [counts.results.len() as u64, counts.classes.len() as u64],
        })
    }
}

/// Runs this program, which must not do anything then.
fn execute() -> io::Result<()> {
    Command::new("/proc/self/exe")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
}

/// An empty name is no program's. Not by the standard library's exec, which resets signals before it fails.
fn fail_to_execute() -> io::Result<()> {
    let Err(error) = execve(c"", &[c""], &[] as &[&CStr]);
    (error == Errno::ENOENT).then_some(()).ok_or_else(|| error.into())
}
