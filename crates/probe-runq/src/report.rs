//! From a reading to metric families: what each number is called. The README lists them.

use std::collections::{BTreeMap, HashSet};

use probe::{
    accounting::{add_attached, add_hits, add_lost, add_map},
    cgroups::Cgroups,
    metrics::{Families, Summary, Value, labels},
};

use crate::{
    kernel::{Config, Reading, WaitsBySeries},
    throttling,
    types::{
        CLASS_NAMES, PROGRAMS, RUNQ_NOT_PREEMPTED, RUNQ_SYSTEM, RUNQ_THROTTLED, VERDICT_NAMES, runq_series,
    },
    waits::Waits,
};

const PROBE: &str = "runq";
/// Stands for any control group that is gone; no directory has this number.
const GONE_ID: u64 = u64::MAX;
const GONE: &str = "(gone)";
/// Shares of all waits for which a length is shown. The first and the last are exact.
const QUANTILES: [f64; 4] = [0.0, 0.25, 0.5, 1.0];

/// Names control groups, and remembers the counts of those that are gone.
#[derive(Debug)]
pub struct Reporter {
    config: Config,
    /// Whether every hook was seen to fire.
    pub proven: bool,
    cgroups: Cgroups,
    /// Those that had no path when last looked for.
    missing: HashSet<u64>,
    kept: WaitsBySeries,
}

/// Labels of waits: whose, who took the CPU, and the class of the two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    cgroup: String,
    culprit: String,
    class: &'static str,
}

impl Reporter {
    /// For a probe of this configuration.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            proven: false,
            cgroups: Cgroups::new(),
            missing: HashSet::new(),
            kept: BTreeMap::new(),
        }
    }

    /// Those among these control groups that had no path the last time either: a new one may be missing once.
    pub fn gone_since_last_time(&mut self, cgroups: &[u64]) -> Vec<u64> {
        let missing: HashSet<u64> = cgroups
            .iter()
            .copied()
            .filter(|cgroup| self.cgroups.path(*cgroup) == GONE)
            .collect();
        let mut gone: Vec<u64> = missing.intersection(&self.missing).copied().collect();
        gone.sort_unstable();
        self.missing = missing;
        gone
    }

    /// Takes over counts that were taken out of the map because of these control groups: no series falls.
    pub fn keep(&mut self, gone: &[u64], waits: WaitsBySeries) {
        let id = |id| if gone.contains(&id) { GONE_ID } else { id };
        for (series, waits) in std::mem::take(&mut self.kept).into_iter().chain(waits) {
            let series = runq_series {
                victim: id(series.victim),
                culprit: id(series.culprit),
                class: series.class,
            };
            self.kept.entry(series).or_default().merge(&waits);
        }
    }

    fn path(&mut self, id: u64) -> String {
        if id == GONE_ID {
            return GONE.to_owned();
        }
        self.cgroups.path(id)
    }

    fn name(&mut self, series: &runq_series) -> Name {
        let class = u32::try_from(series.class).unwrap_or(RUNQ_NOT_PREEMPTED);
        Name {
            cgroup: self.path(series.victim),
            culprit: match class {
                RUNQ_NOT_PREEMPTED => String::new(),
                RUNQ_SYSTEM => "(system)".to_owned(),
                RUNQ_THROTTLED => "(limit)".to_owned(),
                _ => self.path(series.culprit),
            },
            class: CLASS_NAMES.get(class as usize).copied().unwrap_or("none"),
        }
    }

    /// Adds a reading to the families of a scrape.
    pub fn add(&mut self, families: &mut Families, reading: &Reading) {
        self.add_waits(families, &reading.waits);
        add_switches(families, reading);
        add_losses(families, reading);
        for (_, hook) in PROGRAMS {
            add_attached(families, PROBE, &format!("tp_btf/{hook}"), self.proven);
        }
        let counters = &reading.counters;
        let tasks = counters.tasks_added.saturating_sub(counters.tasks_removed);
        add_map(families, PROBE, "tasks", tasks, self.config.room_for_tasks());
        let series = reading.waits.len() as u64;
        add_map(
            families,
            PROBE,
            "waits",
            series,
            u64::from(self.config.max_series),
        );
    }

    /// By name, so that control groups that are gone become one.
    fn add_waits(&mut self, families: &mut Families, by_series: &WaitsBySeries) {
        let mut by_name: BTreeMap<Name, Waits> = BTreeMap::new();
        for (series, waits) in self.kept.clone().iter().chain(by_series) {
            by_name.entry(self.name(series)).or_default().merge(waits);
        }
        let mut by_cgroup: BTreeMap<String, Waits> = BTreeMap::new();
        for (name, waits) in by_name {
            if name.class != CLASS_NAMES[RUNQ_NOT_PREEMPTED as usize] {
                add_preemptions(families, &name, &waits);
            }
            by_cgroup.entry(name.cgroup).or_default().merge(&waits);
        }
        for (cgroup, waits) in &by_cgroup {
            add_group(families, cgroup, waits);
            add_throttling(families, cgroup);
        }
    }
}

fn add_group(families: &mut Families, path: &str, waits: &Waits) {
    families.add(
        "runq_latency_seconds",
        "How long tasks that could run waited for a CPU.",
        labels([("cgroup", path)]),
        Value::Histogram(waits.histogram.clone()),
    );
    for (length, count) in [
        ("measured", waits.histogram.count()),
        ("unknown", waits.unmeasured),
    ] {
        families.add(
            "runq_waits",
            "Waits for a CPU that ended; those of unknown length are in no histogram.",
            labels([("cgroup", path), ("length", length)]),
            Value::Counter(count),
        );
    }
    families.add(
        "runq_wait_seconds",
        "Waits since the start: shortest (0) and longest (1) exactly, between them guessed from the histogram.",
        labels([("cgroup", path)]),
        Value::Summary(Summary {
            quantiles: waits.quantiles(&QUANTILES),
            sum: waits.histogram.sum_seconds(),
            count: waits.histogram.count(),
        }),
    );
}

fn add_throttling(families: &mut Families, path: &str) {
    let Some(throttling) = throttling::of(path).filter(|_| path != GONE) else {
        return;
    };
    families.add(
        "runq_throttled_seconds",
        "How long a control group was stopped by its CPU limit, as the kernel counts it, summed over CPUs.",
        labels([("cgroup", path)]),
        Value::CounterSeconds(throttling.throttled_us as f64 / 1e6),
    );
    families.add(
        "runq_throttled_periods",
        "Periods in which a control group reached its CPU limit, as the kernel counts them.",
        labels([("cgroup", path)]),
        Value::Counter(throttling.periods),
    );
}

fn add_preemptions(families: &mut Families, name: &Name, waits: &Waits) {
    let labels = || {
        labels([
            ("cgroup", &name.cgroup),
            ("culprit", &name.culprit),
            ("class", name.class),
        ])
    };
    families.add(
        "runq_preemptions",
        "How often a task lost the CPU although it could have gone on, by who took it, once it has it back.",
        labels(),
        Value::Counter(waits.histogram.count()),
    );
    families.add(
        "runq_preempted_seconds",
        "How long these tasks waited until they had a CPU again, whoever else ran meanwhile.",
        labels(),
        Value::CounterSeconds(waits.histogram.sum_seconds()),
    );
}

fn add_switches(families: &mut Families, reading: &Reading) {
    for (kind, count) in [
        ("voluntary", reading.counters.voluntary),
        ("involuntary", reading.counters.involuntary),
    ] {
        families.add(
            "runq_switches",
            "How often a task left the CPU: to wait for something, or although it could have gone on.",
            labels([("kind", kind)]),
            Value::Counter(count),
        );
    }
}

fn add_losses(families: &mut Families, reading: &Reading) {
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    add_lost(families, PROBE, "tasks_full", reading.counters.requeues_lost);
    add_lost(families, PROBE, "culprits_full", reading.counters.culprits_lost);
    add_lost(families, PROBE, "events_full", reading.counters.events_lost);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{RUNQ_OTHER, RUNQ_SAME};

    fn waits(wait_ns: u64) -> Waits {
        let mut waits = Waits::default();
        waits.histogram.record_ns(wait_ns);
        waits
    }

    fn series(victim: u64, culprit: u64, class: u32) -> runq_series {
        let class = u64::from(class);
        runq_series {
            victim,
            culprit,
            class,
        }
    }

    #[test]
    fn control_groups_that_go_one_after_the_other_end_in_one_series() {
        let mut reporter = Reporter::new(Config {
            max_tasks: 1,
            max_series: 1,
            event_min_ns: None,
            ring_buffer_bytes: 4096,
            control: None,
        });
        // 8 goes while 9, its victim, stays; then 9 goes, too.
        let by = |series, wait_ns| WaitsBySeries::from([(series, waits(wait_ns))]);
        reporter.keep(&[8], by(series(9, 8, RUNQ_OTHER), 10));
        assert_eq!(reporter.kept.keys().next(), Some(&series(9, GONE_ID, RUNQ_OTHER)));
        reporter.keep(&[9], by(series(9, 9, RUNQ_SAME), 20));
        reporter.keep(&[7], by(series(7, 6, RUNQ_OTHER), 30));
        reporter.keep(&[6], WaitsBySeries::new());
        let kept: Vec<(runq_series, u64)> = reporter
            .kept
            .iter()
            .map(|(series, waits)| (*series, waits.histogram.count()))
            .collect();
        let gone = |class| series(GONE_ID, GONE_ID, class);
        assert_eq!(kept, [(gone(RUNQ_SAME), 1), (gone(RUNQ_OTHER), 2)]);
        assert_eq!(reporter.name(&gone(RUNQ_OTHER)).culprit, GONE);
    }
}
