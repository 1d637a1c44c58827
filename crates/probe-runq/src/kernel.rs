//! The kernel half in place: loaded, attached to the scheduler, and read.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::Duration,
};

use probe::{
    accounting::{Hits, Programs, ReadError},
    clock::monotonic_ns,
    histogram::bound_ns,
    loader::{Hook, Knobs, Link, LoadError, Loader, Object},
    maps::{self, Array, MapError, PerCpuArray, PerCpuHash, RingBuffer},
    object_file,
    select::{Criteria, Selection, Targets},
};

use crate::{
    Control,
    types::{PROGRAMS, RUNQ_PROGRAMS, RUNQ_VERDICTS, runq_counters, runq_event, runq_series, runq_waits},
    waits::{BOUNDS_SECONDS, Waits},
};

/// How much memory to use, and what to report.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tasks known at the same time.
    pub max_tasks: u32,
    /// Control groups, and pairs of who lost the CPU to whom, together.
    pub max_series: u32,
    /// Waits of at least this length are reported one by one; `None`: none are.
    pub event_min_ns: Option<u64>,
    /// Size of the ring buffer for them: a power of two, at least a page.
    pub ring_buffer_bytes: u32,
    /// Use an object with a known mistake. For the lab's negative controls only.
    pub control: Option<Control>,
}

/// Waits by whose they are and who took the CPU.
pub type WaitsBySeries = BTreeMap<runq_series, Waits>;

/// A reading of all counters.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// All waits.
    pub waits: WaitsBySeries,
    /// Verdicts of all programs together, beside the kernel's own count of runs.
    pub hits: Hits,
    /// All other counters, summed over CPUs; its verdicts are by program.
    pub counters: runq_counters,
}

/// Why the probe is not in place.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel half could not be loaded or attached.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel half could not be told to begin.
    #[error("cannot write a BPF map: {0}")]
    Map(#[from] MapError),
}

/// The probe in place. Dropping it detaches it.
pub struct RunqProbe {
    object: Object,
    programs: Programs,
    counters: PerCpuArray<runq_counters>,
    waits: PerCpuHash<runq_series, runq_waits>,
    events: RingBuffer,
    selection: Selection,
    _links: Vec<Link>,
}

fn object(control: Option<Control>) -> (&'static str, &'static [u8]) {
    match control {
        None => object_file!("runq"),
        Some(Control::Bucket) => object_file!("runq.bucket"),
        Some(Control::CountIdle) => object_file!("runq.count_idle"),
        Some(Control::RawCast) => object_file!("runq.raw_cast"),
        Some(Control::WakeupOnly) => object_file!("runq.wakeup_only"),
    }
}

impl RunqProbe {
    /// Loads the kernel half, attaches all of it, and lets it begin. It watches these targets, or everybody.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing stays attached then.
    pub fn attach(loader: Loader, config: Config, targets: Option<&Targets>) -> Result<Self, AttachError> {
        let criteria = Criteria::of(targets);
        let bounds_ns = BOUNDS_SECONDS.map(bound_ns);
        let event_min_ns = config.event_min_ns.unwrap_or(0).to_ne_bytes();
        let knobs = criteria
            .knobs(Knobs::default())
            .global("runq_bounds_ns", bytemuck::cast_slice(&bounds_ns))
            .global("runq_event_min_ns", &event_min_ns)
            .max_entries("tasks", config.max_tasks)
            .max_entries("waits", config.max_series)
            .max_entries("events", config.ring_buffer_bytes);
        let (name, bytes) = object(config.control);
        let mut object = Object::load(loader, name, bytes, &knobs)?;
        let programs = Programs::before_attach(&object, &PROGRAMS.map(|(program, _)| program))?;
        let links = PROGRAMS
            .iter()
            .map(|(program, _)| object.attach(program, &Hook::BtfTracepoint))
            .collect::<Result<_, _>>()?;
        let mut selection = Selection::of(&object)?;
        if let Some(targets) = targets {
            selection.set(targets)?;
        }
        let mut attached_ns: Array<u64> = object.map("attached_ns")?;
        attached_ns.set(0, monotonic_ns(), 0)?;
        Ok(Self {
            counters: object.map("counters")?,
            waits: object.map("waits")?,
            events: object.map("events")?,
            object,
            programs,
            selection,
            _links: links,
        })
    }

    /// Watches these targets from now on. Control groups that are no longer among them are returned.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn select(&mut self, targets: &Targets) -> Result<Vec<u64>, MapError> {
        self.selection.set(targets)
    }

    /// Starts a thread that sleeps, and sees whether each program ran.
    ///
    /// # Errors
    /// Which hook was silent.
    pub fn prove(&self) -> Result<(), String> {
        let runs = || {
            self.counters()
                .map(|counters| counters.verdicts.map(|verdicts| verdicts.iter().sum::<u64>()))
                .map_err(|error| error.to_string())
        };
        let before = runs()?;
        let sleeper = thread::Builder::new()
            .spawn(|| thread::sleep(Duration::from_millis(1)))
            .map_err(|error| format!("cannot start the test thread: {error}"))?;
        // It does nothing that could panic.
        let _ = sleeper.join();
        let silent: Vec<&str> = PROGRAMS
            .iter()
            .zip(before.iter().zip(runs()?))
            .filter(|(_, (before, after))| *before == after)
            .map(|((_, hook), _)| *hook)
            .collect();
        if silent.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "attached but silent: {}; a thread that started and slept did not run the program",
                silent.join(", ")
            ))
        }
    }

    /// A descriptor that becomes readable when [`Self::take_events`] has something to take.
    ///
    /// # Errors
    /// When this process has too many descriptors open.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.events.as_fd().try_clone_to_owned()
    }

    /// The long waits that ended since the last call.
    pub fn take_events(&mut self) -> Vec<runq_event> {
        maps::take_all(&mut self.events).0
    }

    fn counters(&self) -> Result<runq_counters, MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?))
    }

    /// The control groups whose tasks waited, or for which others did.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn cgroups(&self) -> Result<Vec<u64>, MapError> {
        let mut cgroups = Vec::new();
        for series in self.waits.keys() {
            let series = series?;
            cgroups.extend([series.victim, series.culprit].into_iter().filter(|id| *id != 0));
        }
        cgroups.sort_unstable();
        cgroups.dedup();
        Ok(cgroups)
    }

    fn waits(&self, which: impl Fn(&runq_series) -> bool) -> Result<WaitsBySeries, MapError> {
        let mut all = BTreeMap::new();
        for series in self.waits.keys() {
            let series = series?;
            if which(&series) {
                let mut waits = Waits::default();
                self.waits.get(&series, 0)?.iter().for_each(|cpu| waits.add(cpu));
                all.insert(series, waits);
            }
        }
        Ok(all)
    }

    /// Makes room: takes out the waits of control groups in which no task can run any more, and those for which they are
    /// to blame. (Of the latter one is missed if it ends just now; it has then lasted for as long as its culprit is gone.)
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn forget(&mut self, gone: &[u64]) -> Result<WaitsBySeries, MapError> {
        let waits = self.waits(|series| gone.contains(&series.victim) || gone.contains(&series.culprit))?;
        for series in waits.keys() {
            self.waits.remove(series)?;
        }
        Ok(waits)
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When a map or a program's statistics cannot be read.
    pub fn read(&mut self) -> Result<Reading, ReadError> {
        let mut counters = runq_counters::default();
        let hits = self.programs.hits(&self.object, || {
            counters = self.counters()?;
            let total = |verdict| {
                (0..RUNQ_PROGRAMS as usize)
                    .map(|program| counters.verdicts[program][verdict])
                    .sum()
            };
            Ok((0..RUNQ_VERDICTS as usize).map(total).collect::<Vec<_>>())
        })?;
        Ok(Reading {
            waits: self.waits(|_| true)?,
            hits,
            counters,
        })
    }
}
