//! Numbers on their way to a scrape: families of samples with sorted labels, and the two text formats.
//!
//! A family set is plain data. Two sets add up, so that several probes of one kind become one set of series, and the
//! same numbers always give the same bytes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::histogram::Histogram;
use openmetrics_text::Extras;

mod openmetrics_text;
mod prometheus_text;

/// Label names and values of one series. Names are fixed, values are few.
pub type Labels = BTreeMap<&'static str, String>;

/// Makes labels from pairs.
pub fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// A name or a text that a manifest made up: it lives as long as the program, and there are as many as manifests.
pub fn forever(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// A distribution that is told by some of its quantiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Shares of all values, each with the value that so many do not exceed.
    pub quantiles: Vec<(f64, f64)>,
    /// Sum of the values.
    pub sum: f64,
    /// How many there are.
    pub count: u64,
}

/// One series' current value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Only rises. Exposed with the suffix `_total`.
    Counter(u64),
    /// Only rises, not whole (seconds). Exposed with the suffix `_total`.
    CounterSeconds(f64),
    /// Rises and falls.
    Gauge(i64),
    /// Rises and falls, not whole (seconds, ratios).
    GaugeSeconds(f64),
    /// A distribution of seconds.
    Histogram(Histogram),
    /// A distribution in the unit that its name says. Two of them do not add up: the later one stands.
    Summary(Summary),
    /// Nothing but its labels. Exposed with the suffix `_info`.
    Info,
}

impl Value {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Counter(_) | Self::CounterSeconds(_) => "counter",
            Self::Gauge(_) | Self::GaugeSeconds(_) => "gauge",
            Self::Histogram(_) => "histogram",
            Self::Summary(_) => "summary",
            Self::Info => "info",
        }
    }

    /// Whether it counts since some moment, so that it matters which.
    fn has_beginning(&self) -> bool {
        !matches!(self, Self::Gauge(_) | Self::GaugeSeconds(_) | Self::Info)
    }

    fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter(mine), Self::Counter(theirs)) => *mine += theirs,
            (Self::CounterSeconds(mine), Self::CounterSeconds(theirs)) => *mine += theirs,
            (Self::Gauge(mine), Self::Gauge(theirs)) => *mine += theirs,
            (Self::GaugeSeconds(mine), Self::GaugeSeconds(theirs)) => *mine += theirs,
            (Self::Histogram(mine), Self::Histogram(theirs)) => mine.merge(theirs),
            (mine, theirs) => *mine = theirs.clone(),
        }
    }
}

#[derive(Debug, Clone)]
struct Family {
    help: &'static str,
    series: BTreeMap<Labels, Value>,
}

/// All families of a scrape.
#[derive(Debug, Clone, Default)]
pub struct Families {
    families: BTreeMap<&'static str, Family>,
    created_seconds: Option<f64>,
}

impl Families {
    /// Families that say since when they count: in seconds since 1970.
    pub fn since(created_seconds: f64) -> Self {
        Self {
            created_seconds: Some(created_seconds),
            ..Self::default()
        }
    }

    /// Adds a value to a series; a series that exists already is added to. `name` has no `_total`.
    pub fn add(&mut self, name: &'static str, help: &'static str, labels: Labels, value: Value) {
        let family = self.families.entry(name).or_insert_with(|| Family {
            help,
            series: BTreeMap::new(),
        });
        match family.series.entry(labels) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(mut occupied) => occupied.get_mut().add(&value),
        }
    }

    /// Adds all series of another set.
    pub fn merge(&mut self, other: Self) {
        for (name, family) in other.families {
            for (labels, value) in family.series {
                self.add(name, family.help, labels, value);
            }
        }
    }

    /// The series of one family, in order; none when it is not there.
    pub fn series(&self, name: &str) -> impl Iterator<Item = (&Labels, &Value)> {
        self.families
            .get(name)
            .into_iter()
            .flat_map(|family| &family.series)
    }

    /// Names, help texts and series of all families, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, &BTreeMap<Labels, Value>)> {
        self.families
            .iter()
            .map(|(name, family)| (*name, family.help, &family.series))
    }

    /// OpenMetrics 1.0 text, ending in `# EOF`.
    pub fn to_openmetrics(&self) -> String {
        self.text(Extras {
            created_seconds: self.created_seconds,
            exemplars: true,
        })
    }

    fn text(&self, extras: Extras) -> String {
        let mut text = String::new();
        // Writing to a String does not fail, and an error can only be one of writing.
        let _ = openmetrics_text::write(&mut text, self, extras);
        text
    }

    /// Prometheus text format 0.0.4.
    pub fn to_prometheus(&self) -> String {
        prometheus_text::from_openmetrics(&self.text(Extras {
            created_seconds: None,
            exemplars: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Families {
        let mut families = Families::default();
        let mut histogram = Histogram::new(&[0.1, 1.0]);
        histogram.record_ns(100_000_000);
        histogram.record_ns(2_000_000_000);
        families.add(
            "b_seconds",
            "How long",
            labels([("x", "1")]),
            Value::Histogram(histogram),
        );
        families.add(
            "a",
            "How many",
            labels([("y", "quote\"back\\slash\nline")]),
            Value::Counter(3),
        );
        families.add("c", "How high", Labels::new(), Value::Gauge(-1));
        families
    }

    #[test]
    fn only_openmetrics_has_exemplars() {
        let mut histogram = Histogram::new(&[0.1]);
        histogram.record_ns(100_000_000);
        histogram.mark(crate::exemplar::Exemplar {
            labels: labels([("client_port", "7\"7")]),
            value_ns: 100_000_000,
            unix_ns: 1_700_000_000_000_000_001,
        });
        let mut families = Families::default();
        families.add(
            "a_seconds",
            "How long",
            labels([("x", "1")]),
            Value::Histogram(histogram),
        );
        let marked =
            "a_seconds_bucket{le=\"0.1\",x=\"1\"} 1 # {client_port=\"7\\\"7\"} 0.1 1700000000.000000001\n";
        let text = families.to_openmetrics();
        assert!(text.contains(marked), "{text}");
        assert!(!families.to_prometheus().contains("client_port"));
    }

    #[test]
    fn openmetrics_is_sorted_and_ends() {
        assert_eq!(
            example().to_openmetrics(),
            "# HELP a How many\n# TYPE a counter\na_total{y=\"quote\\\"back\\\\slash\\nline\"} 3\n\
             # HELP b_seconds How long\n# TYPE b_seconds histogram\nb_seconds_sum{x=\"1\"} 2.1\n\
             b_seconds_count{x=\"1\"} 2\nb_seconds_bucket{le=\"0.1\",x=\"1\"} 1\n\
             b_seconds_bucket{le=\"1.0\",x=\"1\"} 1\nb_seconds_bucket{le=\"+Inf\",x=\"1\"} 2\n\
             # HELP c How high\n# TYPE c gauge\nc -1\n# EOF\n"
        );
    }

    #[test]
    fn prometheus_names_the_counter_as_its_sample() {
        let text = example().to_prometheus();
        assert!(
            text.starts_with("# HELP a_total How many\n# TYPE a_total counter\na_total{"),
            "{text}"
        );
        assert!(text.contains("# TYPE b_seconds histogram\n"));
        assert!(text.ends_with("c -1\n"), "{text}");
    }

    #[test]
    fn equal_series_add_up() {
        let mut families = example();
        families.add(
            "a",
            "How many",
            labels([("y", "quote\"back\\slash\nline")]),
            Value::Counter(4),
        );
        assert!(families.to_openmetrics().contains("line\"} 7\n"));
    }

    #[test]
    fn summaries_infos_and_beginnings() {
        let mut families = Families::since(1.5);
        families.add("t", "T", labels([("v", "1")]), Value::Info);
        families.add("n", "N", Labels::new(), Value::Counter(2));
        let summary = Summary {
            quantiles: vec![(0.0, 0.5), (0.25, 1.0), (1.0, 2.0)],
            sum: 3.5,
            count: 3,
        };
        families.add("s", "S \\", Labels::new(), Value::Summary(summary));
        assert_eq!(
            families.to_openmetrics(),
            "# HELP n N\n# TYPE n counter\nn_total 2\nn_created 1.5\n\
             # HELP s S \\\\\n# TYPE s summary\ns{quantile=\"0\"} 0.5\ns{quantile=\"0.25\"} 1.0\n\
             s{quantile=\"1\"} 2.0\ns_sum 3.5\ns_count 3\ns_created 1.5\n\
             # HELP t T\n# TYPE t info\nt_info{v=\"1\"} 1\n# EOF\n"
        );
        // The older format has no word for a beginning: there it would be a series like any other.
        assert!(!families.to_prometheus().contains("created"));
        assert!(
            families
                .to_prometheus()
                .contains("# TYPE t_info gauge\nt_info{v=\"1\"} 1\n")
        );
    }
}
