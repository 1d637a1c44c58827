//! From a reading to metric families: what each number is called. The README lists them.

use std::collections::{BTreeMap, HashSet};

use probe::{
    accounting::{add_attached, add_hits, add_lost, add_map},
    cgroups::Cgroups,
    metrics::{Families, Value, labels},
};

use crate::{
    kernel::{Config, Preemptions, PreemptionsByPair, Reading, WaitsByCgroup},
    throttling,
    types::{CLASS_NAMES, PROGRAMS, RUNQ_SYSTEM, RUNQ_THROTTLED, VERDICT_NAMES, runq_pair},
    waits::Waits,
};

const PROBE: &str = "runq";
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
    kept_waits: Waits,
    kept_preemptions: BTreeMap<(String, &'static str), Preemptions>,
}

impl Reporter {
    /// For a probe of this configuration.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            proven: false,
            cgroups: Cgroups::new(),
            missing: HashSet::new(),
            kept_waits: Waits::default(),
            kept_preemptions: BTreeMap::new(),
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

    /// Takes over counts that were taken out of the maps: series of control groups that are gone do not fall.
    pub fn keep(&mut self, waits: &WaitsByCgroup, preemptions: &PreemptionsByPair) {
        waits.values().for_each(|waits| self.kept_waits.merge(waits));
        for (pair, more) in preemptions {
            let kept = self
                .kept_preemptions
                .entry((culprit(&mut self.cgroups, pair), class(pair)))
                .or_default();
            kept.count += more.count;
            kept.waited_ns += more.waited_ns;
        }
    }

    /// Adds a reading to the families of a scrape.
    pub fn add(&mut self, families: &mut Families, reading: &Reading) {
        self.add_waits(families, &reading.waits);
        self.add_preemptions(families, &reading.preemptions);
        add_switches(families, reading);
        add_losses(families, reading);
        for (_, hook) in PROGRAMS {
            add_attached(families, PROBE, &format!("tp_btf/{hook}"), self.proven);
        }
        let counters = &reading.counters;
        let tasks = counters.tasks_added.saturating_sub(counters.tasks_removed);
        for (map, entries, max_entries) in [
            ("tasks", tasks, self.config.max_tasks),
            ("cgroups", reading.waits.len() as u64, self.config.max_cgroups),
            ("pairs", reading.preemptions.len() as u64, self.config.max_pairs),
        ] {
            add_map(families, PROBE, map, entries, u64::from(max_entries));
        }
    }

    /// By path, so that control groups that are gone become one.
    fn add_waits(&mut self, families: &mut Families, by_cgroup: &WaitsByCgroup) {
        let mut by_path: BTreeMap<String, Waits> = BTreeMap::new();
        if self.kept_waits != Waits::default() {
            by_path.insert(GONE.to_owned(), self.kept_waits.clone());
        }
        for (cgroup, waits) in by_cgroup {
            by_path
                .entry(self.cgroups.path(*cgroup))
                .or_default()
                .merge(waits);
        }
        for (path, waits) in &by_path {
            add_group(families, path, waits);
            add_throttling(families, path);
        }
    }

    fn add_preemptions(&mut self, families: &mut Families, by_pair: &PreemptionsByPair) {
        for ((culprit, class), preemptions) in &self.kept_preemptions {
            add_pair(families, GONE, culprit, class, preemptions);
        }
        for (pair, preemptions) in by_pair {
            let victim = self.cgroups.path(pair.victim);
            let culprit = culprit(&mut self.cgroups, pair);
            add_pair(families, &victim, &culprit, class(pair), preemptions);
        }
    }
}

fn class(pair: &runq_pair) -> &'static str {
    usize::try_from(pair.class)
        .ok()
        .and_then(|class| CLASS_NAMES.get(class))
        .copied()
        .unwrap_or("none")
}

fn culprit(cgroups: &mut Cgroups, pair: &runq_pair) -> String {
    match u32::try_from(pair.class) {
        Ok(RUNQ_SYSTEM) => "(system)".to_owned(),
        Ok(RUNQ_THROTTLED) => "(limit)".to_owned(),
        _ => cgroups.path(pair.culprit),
    }
}

fn add_group(families: &mut Families, path: &str, waits: &Waits) {
    families.add(
        "runq_latency_seconds",
        "How long tasks that could run waited for a CPU.",
        labels([("cgroup", path)]),
        Value::Histogram(waits.histogram.clone()),
    );
    families.add(
        "runq_waits_unmeasured",
        "Waits that ended and whose length is not known; they are not in the histogram.",
        labels([("cgroup", path)]),
        Value::Counter(waits.unmeasured),
    );
    for (share, seconds) in waits.quantiles(&QUANTILES) {
        families.add(
            "runq_latency_summary_seconds",
            "Waits since the start: shortest (0) and longest (1) exactly, between them guessed from the histogram.",
            labels([("cgroup", path), ("quantile", &share.to_string())]),
            Value::GaugeSeconds(seconds),
        );
    }
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

fn add_pair(families: &mut Families, victim: &str, culprit: &str, class: &str, preemptions: &Preemptions) {
    let labels = || labels([("cgroup", victim), ("culprit", culprit), ("class", class)]);
    families.add(
        "runq_preemptions",
        "How often a task lost the CPU although it could have gone on, by who took it, once it has it back.",
        labels(),
        Value::Counter(preemptions.count),
    );
    families.add(
        "runq_preempted_seconds",
        "How long these tasks waited until they had a CPU again, whoever else ran meanwhile.",
        labels(),
        Value::CounterSeconds(preemptions.waited_ns as f64 / 1e9),
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
    add_lost(families, PROBE, "pairs_full", reading.counters.pairs_lost);
    add_lost(families, PROBE, "events_full", reading.counters.events_lost);
}
