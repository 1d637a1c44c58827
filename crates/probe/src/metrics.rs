//! Numbers on their way to a scrape: families of samples with sorted labels, and the two text formats.
//!
//! A family set is plain data. Two sets add up, so that several probes of one kind become one set of series, and the
//! same numbers always give the same bytes.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::histogram::Histogram;

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
}

impl Value {
    fn metric_type(&self) -> MetricType {
        match self {
            Self::Counter(_) | Self::CounterSeconds(_) => MetricType::Counter,
            Self::Gauge(_) | Self::GaugeSeconds(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
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
pub struct Families(BTreeMap<&'static str, Family>);

impl Families {
    /// Adds a value to a series; a series that exists already is added to. `name` has no `_total`.
    pub fn add(&mut self, name: &'static str, help: &'static str, labels: Labels, value: Value) {
        let family = self.0.entry(name).or_insert_with(|| Family {
            help,
            series: BTreeMap::new(),
        });
        match family.series.entry(labels) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => occupied.get_mut().add(&value),
        }
    }

    /// OpenMetrics 1.0 text, ending in `# EOF`.
    pub fn to_openmetrics(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing to a String does not fail, and an encoder error can only be one of writing.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }

    /// Prometheus text format 0.0.4.
    pub fn to_prometheus(&self) -> String {
        prometheus_text::from_openmetrics(&self.to_openmetrics())
    }
}

fn encode_value(series: &mut MetricEncoder<'_>, value: &Value) -> Result<(), fmt::Error> {
    match value {
        Value::Counter(count) => series.encode_counter::<NoLabelSet, _, u64>(count, None),
        Value::CounterSeconds(seconds) => series.encode_counter::<NoLabelSet, _, f64>(seconds, None),
        Value::Gauge(level) => series.encode_gauge(level),
        Value::GaugeSeconds(seconds) => series.encode_gauge(seconds),
        Value::Histogram(histogram) => series.encode_histogram::<NoLabelSet>(
            histogram.sum_seconds(),
            histogram.count(),
            &histogram.buckets(),
            None,
        ),
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, family) in &self.0 {
            let Some(first) = family.series.values().next() else {
                continue;
            };
            let mut metric = encoder.encode_descriptor(name, family.help, None, first.metric_type())?;
            for (labels, value) in &family.series {
                let pairs: Vec<(&str, &str)> = labels
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                let pairs = pairs.as_slice();
                if labels.is_empty() {
                    encode_value(&mut metric, value)?;
                } else {
                    encode_value(&mut metric.encode_family(&pairs)?, value)?;
                }
            }
        }
        Ok(())
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
}
