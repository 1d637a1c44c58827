//! Numbers of a probe under the names that a manifest of another project gave them, beside the probe's own.
//!
//! Made from the probe's families alone, so that the two cannot differ.

use probe::histogram::Histogram;
use probe::metrics::{Families, Labels, Summary, Value, forever};

/// Shares of all values that such a summary shows.
const QUANTILES: [f64; 4] = [0.0, 0.25, 0.5, 1.0];

/// One family that is to be there, too.
#[derive(Debug, Clone)]
pub struct Export {
    what: What,
    name: &'static str,
    help: &'static str,
}

#[derive(Debug, Clone)]
enum What {
    /// The sum of a counter's series.
    Counter { of: &'static str },
    /// A histogram's series as one summary, in a unit of which a second has this many.
    Summary {
        of: &'static str,
        /// Summaries with the exact shortest and longest value as quantiles 0 and 1.
        extremes: &'static str,
        per_second: f64,
    },
}

/// Units of time in which a name may end.
const UNITS: [(&str, f64); 4] = [
    ("_seconds", 1.0),
    ("_milliseconds", 1e3),
    ("_microseconds", 1e6),
    ("_nanoseconds", 1e9),
];

impl Export {
    /// A counter, the sum of the series of `of`.
    ///
    /// # Errors
    /// When its name is no counter's.
    pub fn counter(name: &str, help: &str, of: &'static str) -> Result<Vec<Self>, String> {
        let family = name
            .strip_suffix("_total")
            .filter(|family| is_name(family))
            .ok_or_else(|| format!("`{name}` is no name of a counter: it must end in _total"))?;
        Ok(vec![Self {
            what: What::Counter { of },
            name: forever(family),
            help: forever(help),
        }])
    }

    /// A summary of the series of the histogram `of`, in the unit that its name ends in; in seconds as well.
    ///
    /// # Errors
    /// When its name ends in no unit of time.
    pub fn summary(
        name: &str,
        help: &str,
        of: &'static str,
        extremes: &'static str,
    ) -> Result<Vec<Self>, String> {
        let unit = UNITS
            .iter()
            .filter_map(|(unit, per_second)| Some((name.strip_suffix(unit)?, *per_second)))
            .find(|(base, _)| is_name(base));
        let Some((base, per_second)) = unit else {
            let units: Vec<&str> = UNITS.iter().map(|(unit, _)| *unit).collect();
            let units = units.join(", ");
            return Err(format!(
                "`{name}` is no name of a time: it must end in one of {units}"
            ));
        };
        let export = |name, per_second| Self {
            what: What::Summary {
                of,
                extremes,
                per_second,
            },
            name,
            help: forever(help),
        };
        let mut exports = vec![export(forever(name), per_second)];
        if per_second != 1.0 {
            exports.push(export(forever(&format!("{base}_seconds")), 1.0));
        }
        Ok(exports)
    }

    /// Adds the family, from those that the probe gave.
    pub fn add(&self, families: &mut Families) {
        let value = match &self.what {
            What::Counter { of } => Value::Counter(sum(families, of)),
            What::Summary {
                of,
                extremes,
                per_second,
            } => Value::Summary(summary(families, of, extremes, *per_second)),
        };
        families.add(self.name, self.help, Labels::new(), value);
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn sum(families: &Families, of: &str) -> u64 {
    let counts = families.series(of).map(|(_, value)| match value {
        Value::Counter(count) => *count,
        _ => 0,
    });
    counts.sum()
}

/// As one: extremes and sum are exact, quantiles between are guessed from the buckets. All are 0 while there is nothing.
fn summary(families: &Families, of: &str, extremes: &str, per_second: f64) -> Summary {
    let histograms = families.series(of).filter_map(|(_, value)| match value {
        Value::Histogram(histogram) => Some(histogram.clone()),
        _ => None,
    });
    let all: Option<Histogram> = histograms.reduce(|mut all, one| {
        all.merge(&one);
        all
    });
    let shortest = extreme(families, extremes, 0.0).fold(f64::INFINITY, f64::min);
    let longest = extreme(families, extremes, 1.0).fold(0.0, f64::max);
    let seconds = |share: f64| match share {
        0.0 if shortest.is_finite() => shortest,
        1.0 => longest,
        _ => {
            let guess = all.as_ref().and_then(|all| all.estimate_seconds(share));
            guess.map_or(0.0, |guess| guess.max(shortest).min(longest))
        }
    };
    Summary {
        quantiles: QUANTILES
            .map(|share| (share, seconds(share) * per_second))
            .to_vec(),
        sum: all.as_ref().map_or(0.0, Histogram::sum_seconds) * per_second,
        count: all.as_ref().map_or(0, Histogram::count),
    }
}

fn extreme<'a>(families: &'a Families, of: &'a str, quantile: f64) -> impl Iterator<Item = f64> + 'a {
    families.series(of).filter_map(move |(_, value)| match value {
        Value::Summary(summary) => {
            let mut quantiles = summary.quantiles.iter();
            quantiles
                .find(|(share, _)| *share == quantile)
                .map(|(_, seconds)| *seconds)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use probe::metrics::labels;

    use super::*;

    fn text(exports: &[Export], families: &Families) -> String {
        let mut alone = families.clone();
        for export in exports {
            export.add(&mut alone);
        }
        let own: Vec<String> = families.to_openmetrics().lines().map(str::to_owned).collect();
        let added = alone.to_openmetrics();
        added
            .lines()
            .filter(|line| !own.contains(&(*line).to_owned()))
            .flat_map(|line| [line, "\n"])
            .collect()
    }

    #[test]
    fn a_counter_is_the_sum_of_all_series() {
        let mut families = Families::default();
        for (cgroup, count) in [("/a", 3), ("/b", 4)] {
            families.add("calls", "C", labels([("cgroup", cgroup)]), Value::Counter(count));
        }
        let exports = Export::counter("triangle_total", "T", "calls").unwrap();
        assert_eq!(
            text(&exports, &families),
            "# HELP triangle T\n# TYPE triangle counter\ntriangle_total 7\n"
        );
        assert!(
            Export::counter("triangle", "T", "calls")
                .unwrap_err()
                .contains("_total")
        );
    }

    #[test]
    fn a_summary_is_there_in_its_unit_and_in_seconds() {
        let mut families = Families::default();
        for (cgroup, wait_ns) in [("/a", 2_000), ("/b", 8_000)] {
            let mut histogram = Histogram::new(&[1e-6, 1e-5]);
            histogram.record_ns(wait_ns);
            families.add(
                "waits",
                "W",
                labels([("cgroup", cgroup)]),
                Value::Histogram(histogram),
            );
            let seconds = wait_ns as f64 / 1e9;
            let ends = Summary {
                quantiles: vec![(0.0, seconds), (1.0, seconds)],
                sum: seconds,
                count: 1,
            };
            families.add("ends", "E", labels([("cgroup", cgroup)]), Value::Summary(ends));
        }
        let exports = Export::summary("runq_microseconds", "R", "waits", "ends").unwrap();
        let shown = text(&exports, &families);
        assert!(
            shown.starts_with(
                "# HELP runq_microseconds R\n# TYPE runq_microseconds summary\nrunq_microseconds{quantile=\"0\"} 2.0\n\
                 runq_microseconds{quantile=\"0.25\"} "
            ),
            "{shown}"
        );
        for line in [
            "runq_microseconds{quantile=\"1\"} 8.0\nrunq_microseconds_sum 10.0\nrunq_microseconds_count 2\n",
            "runq_seconds_sum 0.00001\nrunq_seconds_count 2\n",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        assert!(Export::summary("runq", "R", "waits", "ends").is_err());
        let empty = text(&exports, &Families::default());
        assert!(
            empty.contains("runq_microseconds{quantile=\"0\"} 0.0\n"),
            "{empty}"
        );
        assert!(empty.contains("runq_microseconds_count 0\n"), "{empty}");
    }
}
