//! Metrics as text, in OpenMetrics or Prometheus form, read back: what `probed` serves, and what oracles write that
//! count for themselves. It writes no text, and knows neither a probe nor what a series means.
//!
//! A counter keeps its `_total`; a histogram becomes `NAME_bucket` with `le`, `NAME_sum` and `NAME_count`,
//! exactly the names of the text.

use std::collections::BTreeMap;

use openmetrics_parser::{
    HistogramValue, MetricNumber, OpenMetricsValue, ParseError, PrometheusValue, RenderableMetricValue,
    Sample as ParsedSample, SummaryValue, openmetrics::parse_openmetrics, prometheus::parse_prometheus,
};

/// One number with a name and labels. Durations are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the series, such as `requests_total`.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Series {
    /// A series of these labels.
    pub fn new<const N: usize>(name: &str, labels: [(&str, String); N], value: f64) -> Self {
        let labels = labels
            .into_iter()
            .map(|(label, value)| (label.to_owned(), value))
            .collect();
        Self {
            name: name.to_owned(),
            labels,
            value,
        }
    }
}

/// A series with what its text says beside the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The number.
    pub series: Series,
    /// When it was measured, in seconds since 1970.
    pub timestamp_seconds: Option<f64>,
    /// When its counter began at zero (`_created`), in seconds since 1970.
    pub created_seconds: Option<f64>,
}

/// Why a text is no metrics.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// The series of a text, sorted by name and labels.
///
/// # Errors
/// When the text is empty or not in either form.
pub fn series(text: &str) -> Result<Vec<Series>, Unreadable> {
    Ok(samples(text)?.into_iter().map(|sample| sample.series).collect())
}

/// The samples of a text, sorted by name and labels.
///
/// # Errors
/// When the text is empty or not in either form.
pub fn samples(text: &str) -> Result<Vec<Sample>, Unreadable> {
    if text.trim().is_empty() {
        return Err(Unreadable("the text is empty".to_owned()));
    }
    // No comparison reads units, which the parser knows for gauges and counters only, or since when a summary counts,
    // which it does not know at all.
    let created: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" summary"))
        .map(|name| format!("{name}_created"))
        .collect();
    let is_created = |line: &str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        created.iter().any(|created| created == name)
    };
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("# UNIT ") && !is_created(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    // A registry in which nothing was counted yet is nothing but the end mark, which the parser refuses.
    if text.trim() == "# EOF" {
        return Ok(Vec::new());
    }
    // A program that died while writing leaves a text without its end; only Prometheus text may lack it.
    let is_openmetrics = text.trim_end().ends_with("# EOF");
    let mut samples = if is_openmetrics {
        from_openmetrics(&text)
    } else {
        from_prometheus(&text)
    }?;
    samples.sort_by(|a, b| {
        let (a, b) = (&a.series, &b.series);
        (&a.name, &a.labels).cmp(&(&b.name, &b.labels))
    });
    Ok(samples)
}

fn from_openmetrics(text: &str) -> Result<Vec<Sample>, Unreadable> {
    let exposition = parse_openmetrics(text).map_err(unreadable)?;
    let mut samples = Vec::new();
    for family in exposition.families.into_values() {
        let name = family.family_name.clone();
        for sample in family.iter_samples() {
            let mut push = Pusher::new(&name, sample, &mut samples);
            match &sample.value {
                OpenMetricsValue::Unknown(value)
                | OpenMetricsValue::Gauge(value)
                | OpenMetricsValue::StateSet(value) => push.number("", value),
                OpenMetricsValue::Counter(counter) => {
                    push.created_seconds = counter.created;
                    push.number("_total", &counter.value);
                }
                OpenMetricsValue::Histogram(histogram) => push.histogram(histogram),
                OpenMetricsValue::GaugeHistogram(histogram) => push.histogram(histogram),
                OpenMetricsValue::Info => push.value("_info", 1.0),
                OpenMetricsValue::Summary(summary) => push.summary(summary),
            }
        }
    }
    Ok(samples)
}

fn from_prometheus(text: &str) -> Result<Vec<Sample>, Unreadable> {
    let exposition = parse_prometheus(text).map_err(unreadable)?;
    let mut samples = Vec::new();
    for family in exposition.families.into_values() {
        let name = family.family_name.clone();
        for sample in family.iter_samples() {
            let mut push = Pusher::new(&name, sample, &mut samples);
            match &sample.value {
                PrometheusValue::Unknown(value) | PrometheusValue::Gauge(value) => push.number("", value),
                PrometheusValue::Counter(counter) => push.number("", &counter.value),
                PrometheusValue::Histogram(histogram) => push.histogram(histogram),
                PrometheusValue::Summary(summary) => push.summary(summary),
            }
        }
    }
    Ok(samples)
}

/// The parser draws the offending line with an arrow under it; evidence has room for the line and the reason.
fn unreadable(error: ParseError) -> Unreadable {
    let text = error.to_string();
    let line = text.lines().find_map(|line| {
        line.split_once("| ")
            .filter(|(_, line)| !line.trim().starts_with('^'))
    });
    let reason = text.lines().find_map(|line| line.trim().strip_prefix("= "));
    Unreadable(match (line, reason) {
        (Some((_, line)), Some(reason)) => format!("`{}` is no metric: {reason}", line.trim_end()),
        _ => text,
    })
}

/// Adds the series of one sample of the library, which may be a whole histogram.
struct Pusher<'a> {
    name: &'a str,
    labels: BTreeMap<String, String>,
    timestamp_seconds: Option<f64>,
    created_seconds: Option<f64>,
    samples: &'a mut Vec<Sample>,
}

impl<'a> Pusher<'a> {
    fn new<V>(name: &'a str, sample: &ParsedSample<V>, samples: &'a mut Vec<Sample>) -> Self
    where
        V: RenderableMetricValue + Clone,
    {
        // Only a sample outside a family has no label set, and these come out of one.
        let labels = sample
            .get_labelset()
            .map(|set| {
                set.iter()
                    .map(|(label, value)| (label.clone(), value.clone()))
                    .collect()
            })
            .unwrap_or_default();
        Self {
            name,
            labels,
            timestamp_seconds: sample.timestamp,
            created_seconds: None,
            samples,
        }
    }

    fn value(&mut self, suffix: &str, value: f64) {
        let name = format!("{}{suffix}", self.name);
        self.samples.push(Sample {
            series: Series {
                name,
                labels: self.labels.clone(),
                value,
            },
            timestamp_seconds: self.timestamp_seconds,
            created_seconds: self.created_seconds,
        });
    }

    fn number(&mut self, suffix: &str, number: &MetricNumber) {
        self.value(suffix, number.as_f64());
    }

    fn labelled(&mut self, suffix: &str, label: &str, bound: f64, number: &MetricNumber) {
        self.number(suffix, number);
        if let Some(last) = self.samples.last_mut() {
            let text = if bound == f64::INFINITY {
                "+Inf".to_owned()
            } else {
                bound.to_string()
            };
            last.series.labels.insert(label.to_owned(), text);
        }
    }

    fn histogram(&mut self, histogram: &HistogramValue) {
        self.created_seconds = histogram.created;
        for bucket in &histogram.buckets {
            self.labelled("_bucket", "le", bucket.upper_bound, &bucket.count);
        }
        self.sum_and_count(histogram.sum.as_ref(), histogram.count);
    }

    fn summary(&mut self, summary: &SummaryValue) {
        for quantile in &summary.quantiles {
            self.labelled("", "quantile", quantile.quantile, &quantile.value);
        }
        self.sum_and_count(summary.sum.as_ref(), summary.count);
    }

    fn sum_and_count(&mut self, sum: Option<&MetricNumber>, count: Option<u64>) {
        if let Some(sum) = sum {
            self.number("_sum", sum);
        }
        if let Some(count) = count {
            self.value("_count", count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENMETRICS: &str = r#"# HELP seconds_served Time.
# TYPE seconds_served histogram
# UNIT seconds_served seconds
seconds_served_sum{status="200"} 1.5
seconds_served_count{status="200"} 3
seconds_served_bucket{le="0.5",status="200"} 2
seconds_served_bucket{le="+Inf",status="200"} 3
# HELP lost Losses.
# TYPE lost counter
lost_total{reason="full"} 4
lost_created{reason="full"} 1767225600.5
# HELP level Level.
# TYPE level gauge
level -2.5
# HELP target What this is of.
# TYPE target info
target_info{service_name="probed"} 1
# HELP waited Waits.
# TYPE waited summary
waited{quantile="0.5"} 2.0
waited_sum 6.5
waited_count 3
waited_created 1767225600.5
# EOF
"#;

    fn lines(text: &str) -> Vec<String> {
        let line = |series: Series| {
            let labels: Vec<String> = series
                .labels
                .iter()
                .map(|(label, value)| format!("{label}={value}"))
                .collect();
            format!("{}{{{}}} {}", series.name, labels.join(","), series.value)
        };
        series(text).unwrap().into_iter().map(line).collect()
    }

    #[test]
    fn every_series_keeps_the_name_of_the_text() {
        insta::assert_snapshot!(lines(OPENMETRICS).join("\n"), @r"
    level{} -2.5
    lost_total{reason=full} 4
    seconds_served_bucket{le=+Inf,status=200} 3
    seconds_served_bucket{le=0.5,status=200} 2
    seconds_served_count{status=200} 3
    seconds_served_sum{status=200} 1.5
    target_info{service_name=probed} 1
    waited{quantile=0.5} 2
    waited_count{} 3
    waited_sum{} 6.5
    ");
    }

    #[test]
    fn prometheus_text_gives_the_same_series() {
        let prometheus = OPENMETRICS.replace("# TYPE lost counter", "# TYPE lost_total counter");
        let prometheus = prometheus
            .replace("# HELP lost ", "# HELP lost_total ")
            .replace("# TYPE target info", "# TYPE target_info gauge")
            .replace("# HELP target ", "# HELP target_info ")
            .replace("# EOF\n", "");
        let prometheus: String = prometheus
            .lines()
            .filter(|line| !line.contains("_created"))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(lines(&prometheus), lines(OPENMETRICS));
    }

    #[test]
    fn bare_lines_are_enough() {
        assert_eq!(lines("canary_songs_total 41\n"), ["canary_songs_total{} 41"]);
        assert_eq!(lines("# EOF\n"), Vec::<String>::new());
    }

    #[test]
    fn times_are_kept_beside_the_values() {
        let text = "# TYPE hits counter\nhits_total{x=\"1\"} 3 1700000000.25\nhits_created{x=\"1\"} 1600000000.5 1700000000.25\n# EOF\n";
        let read = samples(text).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].timestamp_seconds, Some(1_700_000_000.25));
        assert_eq!(read[0].created_seconds, Some(1_600_000_000.5));
    }

    #[test]
    fn words_and_silence_are_errors() {
        assert_eq!(series("").unwrap_err().to_string(), "the text is empty");
        insta::assert_snapshot!(series("# EOF\nHTTP/1.1 500 Internal Server Error\n").unwrap_err(), @"`HTTP/1.1 500 Internal Server Error` is no metric: expected labels");
    }
}
