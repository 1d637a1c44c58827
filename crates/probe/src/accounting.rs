//! The numbers every probe gives about itself, under the same names: hits by verdict, losses, programs, maps.
//!
//! Every run of a program ends in exactly one verdict: recorded, filtered or lost, with a reason. The C header of a
//! probe declares them as an enumeration; their names here are made from it.

use std::{collections::BTreeMap, io};

use crate::{
    loader::{LoadError, Object},
    maps::MapError,
    metrics::{Families, Value, labels},
    stats::{ProgramStats, unaccounted},
};

/// Class ("recorded", "filtered" or "lost") and reason of a verdict.
pub type VerdictName = (&'static str, &'static str);

/// Why counters could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A map; `EPERM` here means that this kernel wants `CAP_BPF` for it.
    #[error("cannot read a BPF map: {0}")]
    Map(#[from] MapError),
    /// A program's statistics.
    #[error(transparent)]
    Program(#[from] LoadError),
    /// The statistics of the socket a program is on.
    #[error("cannot read the packet socket's statistics: {0}")]
    Socket(#[from] io::Error),
}

/// The programs of one object that count their runs by verdict together.
#[derive(Debug)]
pub struct Programs {
    names: Vec<&'static str>,
    runs_at_attach: u64,
}

/// What the kernel and the programs say of the same runs.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    /// Runs by verdict, in the order of their enumeration.
    pub verdicts: Vec<u64>,
    /// Runs that no verdict explains; 0 while program statistics are off.
    pub unaccounted: u64,
    /// Statistics of each program.
    pub programs: Vec<(&'static str, ProgramStats)>,
}

impl Programs {
    /// The programs that run on their own (not those that are only tail-called). To be made before they are attached.
    ///
    /// # Errors
    /// When the object has no such program.
    pub fn before_attach(object: &Object, names: &[&'static str]) -> Result<Self, LoadError> {
        let names = names.to_vec();
        let runs_at_attach = total(&read(object, &names)?);
        Ok(Self {
            names,
            runs_at_attach,
        })
    }

    /// Sets the kernel's count of runs beside the programs' own. `verdicts` reads the latter.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn hits<V: Into<Vec<u64>>>(
        &self,
        object: &Object,
        verdicts: impl FnOnce() -> Result<V, MapError>,
    ) -> Result<Hits, ReadError> {
        let before = read(object, &self.names)?;
        let verdicts = verdicts()?.into();
        let programs = read(object, &self.names)?;
        let unaccounted = if total(&programs) == 0 {
            0
        } else {
            unaccounted(
                total(&before) - self.runs_at_attach,
                verdicts.iter().sum(),
                total(&programs) - self.runs_at_attach,
            )
        };
        Ok(Hits {
            verdicts,
            unaccounted,
            programs,
        })
    }
}

fn read(object: &Object, names: &[&'static str]) -> Result<Vec<(&'static str, ProgramStats)>, LoadError> {
    names
        .iter()
        .map(|name| Ok((*name, object.stats(name)?)))
        .collect()
}

fn total(programs: &[(&'static str, ProgramStats)]) -> u64 {
    programs.iter().map(|(_, stats)| stats.runs).sum()
}

/// Adds a probe's hits by verdict and its losses by reason.
pub fn add_hits(families: &mut Families, probe: &str, names: &[VerdictName], hits: &Hits) {
    let mut lost = BTreeMap::new();
    for ((verdict, reason), count) in names.iter().zip(&hits.verdicts) {
        families.add(
            "probelab_hits",
            "Runs of a probe's programs, by what they did.",
            labels([("probe", probe), ("verdict", verdict), ("reason", reason)]),
            Value::Counter(*count),
        );
        if *verdict == "lost" {
            *lost.entry(*reason).or_insert(0) += count;
        }
    }
    for (reason, count) in lost {
        add_lost(families, probe, reason, count);
    }
    families.add(
        "probelab_hits_unaccounted",
        "Runs of a probe's programs that no verdict explains. Anything but 0 is a defect.",
        labels([("probe", probe)]),
        gauge(hits.unaccounted),
    );
    add_programs(families, probe, &hits.programs);
}

/// Adds one reason for which hook hits or records were lost.
pub fn add_lost(families: &mut Families, probe: &str, reason: &str, count: u64) {
    families.add(
        "probelab_lost",
        "Hook hits or records a probe could not use, by reason.",
        labels([("probe", probe), ("reason", reason)]),
        Value::Counter(count),
    );
}

/// Adds what the kernel counts about programs.
pub fn add_programs(families: &mut Families, probe: &str, programs: &[(&'static str, ProgramStats)]) {
    for (program, stats) in programs {
        let labels = || labels([("probe", probe), ("program", program)]);
        families.add(
            "probelab_program_runs",
            "Runs of a BPF program, as the kernel counts them.",
            labels(),
            Value::Counter(stats.runs),
        );
        families.add(
            "probelab_program_run_time_seconds",
            "Time spent in a BPF program, as the kernel counts it.",
            labels(),
            Value::CounterSeconds(stats.run_time_ns as f64 / 1e9),
        );
        families.add(
            "probelab_program_missed",
            "Runs of a BPF program that did not happen because it was running on that CPU already.",
            labels(),
            Value::Counter(stats.recursion_misses),
        );
        if let Some(instructions) = stats.verified_instructions {
            families.add(
                "probelab_program_verified_instructions",
                "Instructions the kernel's verifier walked for a BPF program.",
                labels(),
                gauge(u64::from(instructions)),
            );
        }
    }
}

/// Adds that a probe is attached to a hook, which has been seen to fire if `proven`.
pub fn add_attached(families: &mut Families, probe: &str, hook: &str, proven: bool) {
    families.add(
        "probelab_attached",
        "Whether a probe is attached to a hook that was seen to fire.",
        labels([("probe", probe), ("hook", hook)]),
        Value::Gauge(i64::from(proven)),
    );
}

/// Adds how full a map is.
pub fn add_map(families: &mut Families, probe: &str, map: &str, entries: u64, max_entries: u64) {
    let labels = || labels([("probe", probe), ("map", map)]);
    families.add(
        "probelab_map_entries",
        "Entries in a BPF map.",
        labels(),
        gauge(entries),
    );
    families.add(
        "probelab_map_max_entries",
        "Entries a BPF map can hold.",
        labels(),
        gauge(max_entries),
    );
}

/// A level that a count is; one beyond what the format holds stays at its end.
pub fn gauge(value: u64) -> Value {
    Value::Gauge(i64::try_from(value).unwrap_or(i64::MAX))
}
