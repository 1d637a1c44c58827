//! Waits of control groups between two scrapes. No terminal here.

use std::collections::BTreeMap;

use exposition::Series;
use serde::Serialize;

/// Who waited, who had the processor, and how the two are related.
type Pair = (String, String, String);

/// What was counted up to a scrape.
#[derive(Debug, Default)]
pub struct Counted {
    at_seconds: f64,
    /// Seconds and number of waits by control group.
    groups: BTreeMap<String, (f64, f64)>,
    /// Seconds and number of waits after losing the processor.
    pairs: BTreeMap<Pair, (f64, f64)>,
}

impl Counted {
    /// From a scrape; nothing when no run-queue probe is attached.
    pub fn new(at_seconds: f64, series: &[Series]) -> Option<Self> {
        let mut counted = Self {
            at_seconds,
            ..Self::default()
        };
        let mut is_attached = false;
        for series in series {
            let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
            let pair = || (label("cgroup"), label("culprit"), label("class"));
            match series.name.as_str() {
                "probelab_attached" => is_attached |= label("probe") == "runq",
                "runq_latency_seconds_sum" => {
                    counted.groups.entry(label("cgroup")).or_default().0 += series.value
                }
                "runq_latency_seconds_count" => {
                    counted.groups.entry(label("cgroup")).or_default().1 += series.value
                }
                "runq_preempted_seconds_total" => counted.pairs.entry(pair()).or_default().0 += series.value,
                "runq_preemptions_total" => counted.pairs.entry(pair()).or_default().1 += series.value,
                _ => {}
            }
        }
        is_attached.then_some(counted)
    }
}

/// Waits per second between two scrapes, the worst first.
#[derive(Debug, PartialEq, Serialize)]
pub struct Waits {
    /// How long was counted.
    pub seconds: f64,
    /// Groups that waited at all.
    pub groups: Vec<Group>,
    /// Who kept whom from a processor.
    pub pairs: Vec<Hurt>,
}

/// Waits of one control group.
#[derive(Debug, PartialEq, Serialize)]
pub struct Group {
    /// Its path.
    pub cgroup: String,
    /// Seconds that its tasks waited, per second: 1 is one task that waited all the time.
    pub waited_ratio: f64,
    /// Waits per second.
    pub waits_per_second: f64,
    /// Length of a wait, on average.
    pub average_seconds: f64,
    /// Who hurt it most, if somebody took a processor from it.
    pub worst_culprit: Option<String>,
}

/// One group and who took processors from it.
#[derive(Debug, PartialEq, Serialize)]
pub struct Hurt {
    /// Who waited.
    pub cgroup: String,
    /// Who had the processor: a path, `(system)` or `(limit)`.
    pub culprit: String,
    /// How the two are related: same, other, system, throttled.
    pub class: String,
    /// Seconds waited because of it, per second.
    pub waited_ratio: f64,
    /// How often a second.
    pub times_per_second: f64,
}

impl Waits {
    /// What came between two scrapes. A counter that fell began again at 0.
    pub fn between(earlier: &Counted, later: &Counted) -> Self {
        let seconds = (later.at_seconds - earlier.at_seconds).max(f64::MIN_POSITIVE);
        let mut pairs: Vec<Hurt> = later
            .pairs
            .iter()
            .map(|(pair, now)| (pair, increase(earlier.pairs.get(pair), *now)))
            .filter(|(_, (_, times))| *times > 0.0)
            .map(|((cgroup, culprit, class), (waited, times))| Hurt {
                cgroup: cgroup.clone(),
                culprit: culprit.clone(),
                class: class.clone(),
                waited_ratio: waited / seconds,
                times_per_second: times / seconds,
            })
            .collect();
        pairs.sort_by(|one, other| other.waited_ratio.total_cmp(&one.waited_ratio));
        let worst = |cgroup: &str| {
            let pair = pairs.iter().find(|pair| pair.cgroup == cgroup)?;
            Some(pair.culprit.clone())
        };
        let mut groups: Vec<Group> = later
            .groups
            .iter()
            .map(|(cgroup, now)| (cgroup, increase(earlier.groups.get(cgroup), *now)))
            .filter(|(_, (_, waits))| *waits > 0.0)
            .map(|(cgroup, (waited, waits))| Group {
                cgroup: cgroup.clone(),
                waited_ratio: waited / seconds,
                waits_per_second: waits / seconds,
                average_seconds: waited / waits,
                worst_culprit: worst(cgroup),
            })
            .collect();
        groups.sort_by(|one, other| other.waited_ratio.total_cmp(&one.waited_ratio));
        Self {
            seconds,
            groups,
            pairs,
        }
    }
}

fn increase(before: Option<&(f64, f64)>, now: (f64, f64)) -> (f64, f64) {
    let before = before.filter(|before| before.0 <= now.0 && before.1 <= now.1);
    before.map_or(now, |before| (now.0 - before.0, now.1 - before.1))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn counted(at_seconds: f64, victim: (f64, f64), pair: (f64, f64)) -> Counted {
        let labels = [("probe", "runq".to_owned())];
        let victims = || [("cgroup", "/victim".to_owned())];
        let pairs = || {
            [
                ("cgroup", "/victim".to_owned()),
                ("culprit", "/hog".to_owned()),
                ("class", "other".to_owned()),
            ]
        };
        let series = [
            Series::new("probelab_attached", labels, 1.0),
            Series::new("runq_latency_seconds_sum", victims(), victim.0),
            Series::new("runq_latency_seconds_count", victims(), victim.1),
            Series::new("runq_latency_seconds_sum", [("cgroup", "/idle".to_owned())], 4.0),
            Series::new(
                "runq_latency_seconds_count",
                [("cgroup", "/idle".to_owned())],
                4.0,
            ),
            Series::new("runq_preempted_seconds_total", pairs(), pair.0),
            Series::new("runq_preemptions_total", pairs(), pair.1),
        ];
        Counted::new(at_seconds, &series).unwrap()
    }

    /// A victim that waits half of its time, mostly for a hog.
    pub fn example() -> Waits {
        let before = counted(10.0, (1.0, 100.0), (0.5, 50.0));
        Waits::between(&before, &counted(12.0, (2.0, 300.0), (1.3, 90.0)))
    }

    #[test]
    fn only_what_came_between_counts() {
        let waits = example();
        assert_eq!(waits.groups.len(), 1, "who did not wait is not shown");
        let group = &waits.groups[0];
        assert_eq!(
            (group.waited_ratio, group.waits_per_second, group.average_seconds),
            (0.5, 100.0, 0.005)
        );
        assert_eq!(group.worst_culprit.as_deref(), Some("/hog"));
        assert!((waits.pairs[0].waited_ratio - 0.4).abs() < 1e-12);
        assert_eq!(waits.pairs[0].times_per_second, 20.0);
    }

    #[test]
    fn a_daemon_that_began_again_counts_from_zero() {
        let waits = Waits::between(
            &counted(0.0, (9.0, 900.0), (9.0, 900.0)),
            &counted(1.0, (0.5, 10.0), (0.1, 1.0)),
        );
        assert_eq!(waits.groups[0].waits_per_second, 10.0);
    }

    #[test]
    fn no_probe_is_no_answer() {
        assert!(Counted::new(0.0, &[]).is_none());
    }
}
