//! The kernel half in place: loaded, attached to its tracepoint, and read.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::TcpListener,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use probe::{
    accounting::{Hits, Programs, ReadError},
    cgroups::{Cgroups, GONE},
    clock::nanoseconds,
    histogram::{Histogram, bound_ns},
    loader::{Hook, Knobs, LoadError, Loader, Object},
    maps::{self, Hash, MapError, PerCpuArray, PerCpuHash, RingBuffer},
    object_file,
    proof::prove,
};

use crate::{
    spec::Control,
    types::{
        CONNECT_BOUNDS, CONNECT_RETRANSMIT_CLASSES, CONNECT_VERDICTS, connect_attempt, connect_counters,
        connect_event, connect_histogram, connect_series,
    },
};

/// The program of the kernel half, and its twin, which handles what the kernel leaves the first one out of.
pub const PROGRAMS: [&str; 2] = ["connect_state", "connect_state_twin"];
/// The tracepoint they are attached to.
pub const HOOK: &str = "tp_btf:inet_sock_set_state";

/// Upper bounds of the duration buckets, in seconds: from one host to around the world, and on to repeated SYNs.
pub const BOUNDS_SECONDS: [f64; CONNECT_BOUNDS as usize] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What to observe and with how much memory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Attempts followed at the same time.
    pub max_pending: u32,
    /// Series (control group, outcome, IP version, class of repeated SYNs) at the same time.
    pub max_series: u32,
    /// Whether series are told apart by the control group of the process that called connect(2).
    pub per_cgroup: bool,
    /// Attempts that take longer are slow; none when absent.
    pub slow: Option<Duration>,
    /// Report single attempts that take at least this long; none when absent.
    pub events_from: Option<Duration>,
    /// Size of the ring buffer for them: a power of two, at least a page.
    pub ring_buffer_bytes: u32,
    /// An attempt without an end after this long is given up.
    pub give_up: Duration,
    /// A known mistake, for the lab only.
    pub control: Option<Control>,
}

/// One series: who, how it ended, over which IP version, with how many repeated SYNs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    /// Path of the control group; absent when groups are not told apart.
    pub cgroup: Option<String>,
    /// `enum connect_outcome`.
    pub outcome: u8,
    /// 4 or 6.
    pub family: u8,
    /// Class of repeated SYNs.
    pub retransmits: u8,
}

impl SeriesKey {
    /// Where an attempt is counted.
    pub fn of(event: &connect_event, cgroup: Option<String>) -> Self {
        let highest = CONNECT_RETRANSMIT_CLASSES - 1;
        Self {
            cgroup,
            outcome: event.outcome,
            family: event.family,
            // At most 3, so that it fits.
            retransmits: event.retransmits.min(highest) as u8,
        }
    }
}

/// The attempts of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// How long they took.
    pub duration: Histogram,
    /// SYNs that were sent again.
    pub retransmits: u64,
    /// Attempts beyond the threshold.
    pub slow: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            duration: Histogram::new(&BOUNDS_SECONDS),
            retransmits: 0,
            slow: 0,
        }
    }
}

impl Series {
    fn add(&mut self, kernel: &connect_histogram) {
        self.duration
            .add(&kernel.buckets, u128::from(kernel.duration_sum_ns));
        self.retransmits += kernel.retransmits;
        self.slow += kernel.slow;
    }
}

/// A reading of all counters.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Attempts that ended.
    pub series: BTreeMap<SeriesKey, Series>,
    /// Runs of both programs, by `CONNECT_VERDICT`, beside the kernel's own count of them.
    pub hits: Hits,
    /// Attempts that have not ended.
    pub pending: u64,
    /// Entries of the histogram map.
    pub kernel_series: u64,
    /// Attempts whose end was not seen: their socket began another one, or they were given up.
    pub unended: u64,
    /// Events that the ring buffer had no room for, or that made no sense.
    pub events_lost: u64,
}

/// The probe in place. Dropping it detaches it.
pub struct ConnectProbe {
    config: Config,
    object: Object,
    _twin_link: probe::loader::Link,
    _link: probe::loader::Link,
    attempts: Hash<u64, connect_attempt>,
    histograms: PerCpuHash<connect_series, connect_histogram>,
    counters: PerCpuArray<connect_counters>,
    events: RingBuffer,
    programs: Programs,
    cgroups: Cgroups,
    /// Series of control groups that are gone, taken out of the kernel's map.
    gone: BTreeMap<SeriesKey, Series>,
    given_up: u64,
    unreadable_events: u64,
}

fn object(control: Option<Control>) -> (&'static str, &'static [u8]) {
    match control {
        None => object_file!("connect"),
        Some(Control::RstIsSuccess) => object_file!("connect.rst_is_success"),
        Some(Control::BucketOffByOne) => object_file!("connect.bucket_off_by_one"),
        Some(Control::CurrentAtCompletion) => object_file!("connect.current_at_completion"),
        Some(Control::OneProgram) => object_file!("connect.one_program"),
    }
}

impl ConnectProbe {
    /// Loads the kernel half and attaches it.
    ///
    /// # Errors
    /// When the kernel refuses; nothing stays attached then.
    pub fn attach(loader: Loader, config: Config) -> Result<Self, LoadError> {
        let bounds_ns = BOUNDS_SECONDS.map(bound_ns);
        let slow_ns = config.slow.map_or(u64::MAX, nanoseconds);
        let event_ns = config.events_from.map_or(u64::MAX, nanoseconds);
        let flags = [
            u8::from(config.per_cgroup),
            u8::from(config.events_from.is_some()),
        ];
        let knobs = Knobs::default()
            .global("connect_bounds_ns", bytemuck::cast_slice(&bounds_ns))
            .global("connect_slow_ns", bytemuck::bytes_of(&slow_ns))
            .global("connect_event_ns", bytemuck::bytes_of(&event_ns))
            .global("connect_per_cgroup", &flags[..1])
            .global("connect_events", &flags[1..])
            .max_entries("attempts", config.max_pending)
            .max_entries("histograms", config.max_series)
            .max_entries("events", config.ring_buffer_bytes);
        let (name, bytes) = object(config.control);
        let mut object = Object::load(loader, name, bytes, &knobs)?;
        let programs = Programs::before_attach(&object, &PROGRAMS)?;
        // Programs of a tracepoint run in the order in which they were attached (`func_add` in kernel/tracepoint.c).
        let [first, twin] = PROGRAMS;
        let link = object.attach(first, &Hook::BtfTracepoint)?;
        let twin_link = object.attach(twin, &Hook::BtfTracepoint)?;
        Ok(Self {
            attempts: object.map("attempts")?,
            histograms: object.map("histograms")?,
            counters: object.map("counters")?,
            events: object.map("events")?,
            config,
            object,
            _twin_link: twin_link,
            _link: link,
            programs,
            cgroups: Cgroups::new(),
            gone: BTreeMap::new(),
            given_up: 0,
            unreadable_events: 0,
        })
    }

    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Opens a listening socket, whose changes of state the program sees and counts as none of its business, and looks
    /// whether it ran.
    ///
    /// # Errors
    /// The reason in words when it did not.
    pub fn prove(&self) -> Result<(), String> {
        let listen = || match TcpListener::bind(("127.0.0.1", 0)) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot open a listening socket on 127.0.0.1: {error}")),
        };
        prove(
            || Ok(self.verdicts()?.iter().sum()),
            listen,
            || format!("{HOOK} is attached but silent: opening a listening socket did not run it"),
        )
    }

    fn verdicts(&self) -> Result<[u64; CONNECT_VERDICTS as usize], MapError> {
        Ok(maps::sum(&self.counters.get(&0, 0)?).verdicts)
    }

    /// The descriptor that becomes readable when [`Self::take_events`] has something to hand out.
    ///
    /// # Errors
    /// When this process has too many descriptors open.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.events.as_fd().try_clone_to_owned()
    }

    /// The attempts that ended since the last call, in the order in which the kernel reported them.
    pub fn take_events(&mut self) -> Vec<connect_event> {
        let (events, unreadable) = maps::take_all(&mut self.events);
        self.unreadable_events += unreadable;
        events
    }

    /// The path of the control group of an event.
    pub fn cgroup(&mut self, event: &connect_event) -> Option<String> {
        self.config.per_cgroup.then(|| self.cgroups.path(event.cgroup))
    }

    /// Gives up on attempts that have waited too long, and takes the series of control groups that are gone out of the
    /// kernel's map.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn sweep(&mut self, now_ns: u64) -> Result<(), MapError> {
        let before_ns = now_ns.saturating_sub(nanoseconds(self.config.give_up));
        for (socket, attempt) in self.pending()? {
            // An attempt that ended meanwhile was counted as what it was.
            if attempt.start_ns < before_ns && self.attempts.remove(&socket).is_ok() {
                self.given_up += 1;
            }
        }
        if self.config.per_cgroup {
            self.fold_gone()?;
        }
        Ok(())
    }

    /// A group that is gone has no process that could begin an attempt, so a series of it that no pending attempt can
    /// still add to has its last value. The order matters: gone first, then pending, then the value.
    fn fold_gone(&mut self) -> Result<(), MapError> {
        let mut keys = Vec::new();
        for entry in self.histograms.iter() {
            keys.push(entry?.0);
        }
        keys.retain(|key| self.cgroups.path(key.cgroup) == GONE);
        let busy: BTreeSet<u64> = self
            .pending()?
            .iter()
            .map(|(_, attempt)| attempt.cgroup)
            .collect();
        for key in keys.iter().filter(|key| !busy.contains(&key.cgroup)) {
            let cpus = self.histograms.get(key, 0)?;
            if self.histograms.remove(key).is_ok() {
                self.gone
                    .entry(labelled(key, Some(GONE.to_owned())))
                    .or_default()
                    .add(&maps::sum(&cpus));
            }
        }
        Ok(())
    }

    fn pending(&self) -> Result<Vec<(u64, connect_attempt)>, MapError> {
        self.attempts.iter().collect()
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When a map or the program's statistics cannot be read.
    pub fn read(&mut self) -> Result<Reading, ReadError> {
        let hits = self.programs.hits(&self.object, || self.verdicts())?;
        let counters = maps::sum(&self.counters.get(&0, 0)?);
        let mut reading = Reading {
            series: self.gone.clone(),
            hits,
            pending: self.pending()?.len() as u64,
            unended: self.given_up,
            events_lost: self.unreadable_events,
            ..Reading::default()
        };
        reading.unended += counters.stale;
        reading.events_lost += counters.events_lost;
        // All entries before any path: a group that is not found then is gone, not new.
        let mut entries = Vec::new();
        for entry in self.histograms.iter() {
            entries.push(entry?);
        }
        reading.kernel_series = entries.len() as u64;
        for (key, cpus) in entries {
            let cgroup = self.config.per_cgroup.then(|| self.cgroups.path(key.cgroup));
            reading
                .series
                .entry(labelled(&key, cgroup))
                .or_default()
                .add(&maps::sum(&cpus));
        }
        Ok(reading)
    }
}

fn labelled(key: &connect_series, cgroup: Option<String>) -> SeriesKey {
    SeriesKey {
        cgroup,
        outcome: key.outcome,
        family: key.family,
        retransmits: key.retransmits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_belongs_to_the_series_that_the_kernel_half_counts_it_in() {
        for (repeated, class) in [(0, 0), (2, 2), (3, 3), (7, 3)] {
            let event = connect_event {
                outcome: 1,
                family: 6,
                retransmits: repeated,
                ..connect_event::default()
            };
            let counted = connect_series {
                outcome: 1,
                family: 6,
                retransmits: class,
                ..connect_series::default()
            };
            assert_eq!(
                SeriesKey::of(&event, None),
                labelled(&counted, None),
                "{repeated}"
            );
        }
    }
}
