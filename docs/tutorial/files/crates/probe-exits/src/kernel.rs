//! The kernel half in place: on its tracepoint, proven and read.

use std::process::{Command, Stdio};

use probe::{
    Failure, Probe,
    accounting::{Hits, Programs},
    cgroups::Cgroups,
    loader::{Hook, Knobs, Link, LoadError, Loader, Object},
    maps::{self, MapError, PerCpuArray, PerCpuHash},
    metrics::Families,
    object_file,
    proof::prove,
    stats::unaccounted,
};

use crate::{
    report,
    spec::{Control, Spec},
    types::{EXITS_RECORDED_PROCESS, EXITS_VERDICTS, exits_counters, exits_end},
};

const PROGRAM: &str = "exits_sched_process_exit";

/// The probe in place. Dropping it takes it off.
pub(crate) struct Exits {
    object: Object,
    _link: Link,
    ends: PerCpuHash<exits_end, u64>,
    max_ends: u32,
    counters: PerCpuArray<exits_counters>,
    programs: Programs,
    cgroups: Cgroups,
    proven: bool,
}

/// A reading of all counters.
#[derive(Debug)]
pub(crate) struct Reading {
    /// How often processes of a control group ended in this way; the group by its path.
    pub(crate) ends: Vec<(String, exits_end, u64)>,
    pub(crate) max_ends: u32,
    pub(crate) hits: Hits,
    pub(crate) proven: bool,
}

impl Exits {
    /// Loads the kernel half and puts it on its tracepoint.
    ///
    /// # Errors
    /// When the kernel or the loader refuses; nothing stays attached then.
    pub(crate) fn attach(loader: Loader, spec: &Spec) -> Result<Self, LoadError> {
        let (name, bytes) = match spec.control {
            Some(Control::EveryThread) => object_file!("exits.every_thread"),
            None => object_file!("exits"),
        };
        let knobs = Knobs::default().max_entries("ends", spec.max_ends);
        let mut object = Object::load(loader, name, bytes, &knobs)?;
        let programs = Programs::before_attach(&object, &[PROGRAM])?;
        let link = object.attach(PROGRAM, &Hook::BtfTracepoint)?;
        Ok(Self {
            ends: object.map("ends")?,
            max_ends: spec.max_ends,
            counters: object.map("counters")?,
            object,
            _link: link,
            programs,
            cgroups: Cgroups::new(),
            proven: false,
        })
    }

    fn verdicts(&self) -> Result<[u64; EXITS_VERDICTS as usize], MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?).verdicts)
    }

    fn recorded(&self) -> Result<u64, MapError> {
        Ok(self.verdicts()?[EXITS_RECORDED_PROCESS as usize])
    }

    fn read(&mut self) -> Result<Reading, Failure> {
        let before = self.recorded()?;
        let mut ends = Vec::new();
        for entry in self.ends.iter() {
            let (end, cpus) = entry?;
            ends.push((self.cgroups.path(end.cgroup), end, cpus.iter().sum()));
        }
        let mut hits = self.programs.hits(&self.object, || self.verdicts())?;
        // The map must hold as many processes as were said to be recorded.
        let held = ends.iter().map(|(_, _, count)| count).sum();
        hits.unaccounted += unaccounted(before, held, hits.verdicts[EXITS_RECORDED_PROCESS as usize]);
        Ok(Reading {
            ends,
            max_ends: self.max_ends,
            hits,
            proven: self.proven,
        })
    }
}

impl Probe for Exits {
    /// Runs this program, which must do nothing and end then.
    fn prove(&mut self) -> Result<(), String> {
        let run = || {
            let mut command = Command::new("/proc/self/exe");
            command.arg("--version").stdin(Stdio::null());
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status
                .map(drop)
                .map_err(|error| format!("no process can be run: {error}"))
        };
        let silent = || "tracepoint sched_process_exit is attached but silent".to_owned();
        prove(|| self.recorded(), run, silent)?;
        self.proven = true;
        Ok(())
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        report::add(families, &self.read()?);
        Ok(())
    }
}
