//! The kernel half in place: loaded, attached to the scheduler, and read.

use std::{
    collections::BTreeMap,
    io, mem,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::Duration,
};

use probe::{
    accounting::{Hits, Programs, ReadError},
    clock::monotonic_ns,
    histogram::bound_ns,
    loader::{Hook, Knobs, Link, LoadError, Loader, Object},
    maps::{self, Array, Hash, MapError, PerCpuArray, Queue, RingBuffer},
    object_file,
    select::{Criteria, Selection, Targets},
};

use crate::{
    Control,
    types::{
        PROGRAMS, RUNQ_PROGRAMS, RUNQ_VERDICTS, runq_counters, runq_cpu, runq_event, runq_series, runq_waits,
    },
    waits::{BOUNDS_SECONDS, Waits},
};

/// How much memory to use, and what to report.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tasks known at the same time, at least. As many entries of a hash map are reserved, and as many places of an
    /// array, rounded up to a power of two: a task without a place has an entry.
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

impl Config {
    /// Tasks for which there is room if no two are after the same place.
    pub fn room_for_tasks(&self) -> u64 {
        u64::from(places(self.max_tasks)) + u64::from(self.max_tasks)
    }
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
    cpus: PerCpuArray<runq_cpu>,
    waits: PerCpuArray<runq_waits>,
    slots: Hash<runq_series, u32>,
    free_slots: Queue<u32>,
    /// Slots taken from their series by the last [`Self::forget`]. A program that was just counting in one is long done
    /// when the next lets other series have it.
    resting: Vec<u32>,
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

/// Places of tasks: a power of two, so that the upper bits of a product number them.
fn places(max_tasks: u32) -> u32 {
    // A shift by all bits is none, and no kernel has the memory for more.
    max_tasks.clamp(2, 1 << 31).next_power_of_two()
}

impl RunqProbe {
    /// Loads the kernel half, attaches all of it, and lets it begin. It watches these targets, or everybody.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing stays attached then.
    pub fn attach(loader: Loader, config: Config, targets: Option<&Targets>) -> Result<Self, AttachError> {
        let criteria = Criteria::of(targets);
        let bounds_ns = BOUNDS_SECONDS.map(bound_ns);
        let places = places(config.max_tasks);
        let places_shift = (u32::BITS - places.ilog2()).to_ne_bytes();
        let event_min_ns = config.event_min_ns.unwrap_or(0).to_ne_bytes();
        let knobs = criteria
            .knobs(Knobs::default())
            .global("runq_bounds_ns", bytemuck::cast_slice(&bounds_ns))
            .global("runq_event_min_ns", &event_min_ns)
            .global("runq_places_shift", &places_shift)
            .max_entries("places", places)
            .max_entries("tasks", config.max_tasks)
            .max_entries("waits", config.max_series)
            .max_entries("slots", config.max_series)
            .max_entries("free_slots", config.max_series)
            .max_entries("events", config.ring_buffer_bytes);
        let (name, bytes) = object(config.control);
        let mut object = Object::load(loader, name, bytes, &knobs)?;
        let mut free_slots: Queue<u32> = object.map("free_slots")?;
        for slot in 0..config.max_series {
            free_slots.push(slot, 0)?;
        }
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
            cpus: object.map("cpus")?,
            waits: object.map("waits")?,
            slots: object.map("slots")?,
            free_slots,
            resting: Vec::new(),
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
        let cpus: Vec<runq_counters> = self.cpus.get(&0, 0)?.iter().map(|cpu| cpu.count).collect();
        Ok(maps::sum(&cpus))
    }

    /// The control groups whose tasks waited, or for which others did.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn cgroups(&self) -> Result<Vec<u64>, MapError> {
        let mut cgroups = Vec::new();
        for series in self.slots.keys() {
            let series = series?;
            cgroups.extend([series.victim, series.culprit].into_iter().filter(|id| *id != 0));
        }
        cgroups.sort_unstable();
        cgroups.dedup();
        Ok(cgroups)
    }

    fn slots(&self, which: impl Fn(&runq_series) -> bool) -> Result<Vec<(runq_series, u32)>, MapError> {
        let is_wanted = |entry: &Result<(runq_series, u32), MapError>| match entry {
            Ok((series, _)) => which(series),
            Err(_) => true,
        };
        self.slots.iter().filter(is_wanted).collect()
    }

    fn waits(&self, slots: &[(runq_series, u32)]) -> Result<WaitsBySeries, MapError> {
        let mut all = BTreeMap::new();
        for (series, slot) in slots {
            let mut waits = Waits::default();
            self.waits.get(slot, 0)?.iter().for_each(|cpu| waits.add(cpu));
            all.insert(*series, waits);
        }
        Ok(all)
    }

    /// Makes room: takes out the waits of control groups in which no task can run any more, and those for which they are
    /// to blame. (Of the latter one is missed if it ends just now; it has then lasted for as long as its culprit is gone.)
    ///
    /// # Errors
    /// When a map cannot be read or written.
    pub fn forget(&mut self, gone: &[u64]) -> Result<WaitsBySeries, MapError> {
        for slot in mem::take(&mut self.resting) {
            maps::fill(&mut self.waits, slot, runq_waits::default())?;
            self.free_slots.push(slot, 0)?;
        }
        let slots = self.slots(|series| gone.contains(&series.victim) || gone.contains(&series.culprit))?;
        let waits = self.waits(&slots)?;
        for (series, slot) in slots {
            self.slots.remove(&series)?;
            // Without its series no task that was counted there takes it for its own.
            maps::fill(&mut self.waits, slot, runq_waits::default())?;
            self.resting.push(slot);
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
            waits: self.waits(&self.slots(|_| true)?)?,
            hits,
            counters,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may end at once")]

    use super::*;
    use crate::types::{runq_place, runq_task};

    #[test]
    fn there_is_a_place_for_each_task() {
        for (tasks, expected) in [
            (0, 2),
            (1, 2),
            (3, 4),
            (16, 16),
            (16_385, 32_768),
            (u32::MAX, 1 << 31),
        ] {
            assert_eq!(places(tasks), expected, "{tasks}");
        }
    }

    /// Tasks that have a place or an entry; or a place that is claimed and nobody's, or somebody's and not claimed once.
    fn known_tasks(probe: &RunqProbe) -> Result<u64, runq_place> {
        let places: Array<runq_place> = probe.object.map("places").unwrap();
        let tasks: Hash<u64, runq_task> = probe.object.map("tasks").unwrap();
        let places: Vec<runq_place> = places.iter().collect::<Result<_, _>>().unwrap();
        let is_odd = |place: &&runq_place| place.claims != u64::from(place.owner != 0);
        if let Some(odd) = places.iter().find(is_odd) {
            return Err(*odd);
        }
        let owned = places.iter().filter(|place| place.owner != 0).count();
        Ok((owned + tasks.keys().count()) as u64)
    }

    #[test]
    fn places_have_one_owner_and_are_given_back() {
        let config = Config {
            max_tasks: 256,
            max_series: 64,
            event_min_ns: None,
            ring_buffer_bytes: 4096,
            control: None,
        };
        let mut probe = match RunqProbe::attach(Loader::Libbpf, config, None) {
            Ok(probe) => probe,
            Err(AttachError::Load(error)) if error.to_string().contains("os error 1)") => {
                eprintln!("SKIPPED: {error}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        // More at a time than there are places for, and on all CPUs, so that some reach for the same.
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let naps: Vec<_> = (0..16)
                            .map(|_| thread::spawn(|| thread::sleep(Duration::from_micros(50))))
                            .collect();
                        naps.into_iter().for_each(|nap| nap.join().unwrap());
                    }
                });
            }
        });
        // Counted while nothing of it changed.
        let counted = (0..1000).find_map(|_| {
            let before = probe.counters().unwrap();
            let known = known_tasks(&probe);
            let after = probe.counters().unwrap();
            let is_quiet =
                before.tasks_added == after.tasks_added && before.tasks_removed == after.tasks_removed;
            is_quiet.then_some((known, after.tasks_added - after.tasks_removed))
        });
        let (known, expected) = counted.unwrap();
        assert_eq!(known, Ok(expected));
        let counters = probe.read().unwrap().counters;
        assert!(counters.tasks_removed > 10_000, "{counters:?}");
    }
}
