//! Histograms of a scrape, and their pictures.

use std::collections::BTreeMap;

use scenario::{Series, read_openmetrics};

/// Size of a picture, in its own units.
const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 56.0;
/// Space below the bars for the bounds.
const FOOT: f64 = 14.0;

/// A histogram of a scrape: how many values fell into which bucket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histogram {
    /// Name and labels.
    pub(crate) title: String,
    /// Upper bound of each bucket and how many values are in it alone, in the order of bounds.
    pub(crate) buckets: Vec<(f64, f64)>,
    /// All values.
    pub(crate) count: f64,
}

/// The histograms of a scrape that counted something; none when it cannot be read, which the judge has told.
pub(crate) fn histograms(metrics: &str) -> Vec<Histogram> {
    let series = read_openmetrics(metrics).unwrap_or_default();
    let mut cumulative: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for series in &series {
        let (Some(name), Some(bound)) = (series.name.strip_suffix("_bucket"), bound(series)) else {
            continue;
        };
        let title = title(name, &series.labels);
        cumulative.entry(title).or_default().push((bound, series.value));
    }
    cumulative
        .into_iter()
        .filter_map(|(title, mut buckets)| {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let count = buckets.last().map_or(0.0, |(_, count)| *count);
            let mut before = 0.0;
            for (_, value) in &mut buckets {
                let here = *value - before;
                before = *value;
                *value = here;
            }
            (count > 0.0).then_some(Histogram {
                title,
                buckets,
                count,
            })
        })
        .collect()
}

fn bound(series: &Series) -> Option<f64> {
    match series.labels.get("le")?.as_str() {
        "+Inf" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

/// `name{label=value,…}` without the bound of a bucket.
pub(crate) fn title(name: &str, labels: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = labels
        .iter()
        .filter(|(label, _)| *label != "le")
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    if labels.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{{{}}}", labels.join(","))
    }
}

impl Histogram {
    /// Bars from the first to the last bucket with a value, as an SVG element that takes its colour from the page.
    pub(crate) fn svg(&self) -> String {
        let is_filled = |bucket: &(f64, f64)| bucket.1 > 0.0;
        let first = self.buckets.iter().position(is_filled).unwrap_or(0);
        let last = self.buckets.iter().rposition(is_filled).unwrap_or(0);
        let shown = self.buckets.get(first..=last).unwrap_or(&[]);
        let most = shown.iter().map(|(_, count)| *count).fold(1.0, f64::max);
        let room = HEIGHT - FOOT;
        let step = WIDTH / shown.len().max(1) as f64;
        let mut path = String::new();
        for (index, (_, count)) in shown.iter().enumerate().filter(|(_, bucket)| bucket.1 > 0.0) {
            // A single value beside thousands must still be seen.
            let height = (count / most * (room - 2.0)).max(1.0);
            path.push_str(&format!(
                "M{:.1} {room}v-{height:.1}h{:.1}v{height:.1}z",
                index as f64 * step,
                (step - 1.0).max(0.5)
            ));
        }
        let from = match first.checked_sub(1).and_then(|before| self.buckets.get(before)) {
            Some((bound, _)) => self.bound(*bound),
            None => "0".to_owned(),
        };
        let to = shown
            .last()
            .map_or(String::new(), |(bound, _)| self.bound(*bound));
        let foot = HEIGHT - 3.0;
        format!(
            "<svg class=h viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img><title>most in a bucket: {most}</title><path d=\"{path}\"/>\
             <text y={foot}>{from}</text><text x={WIDTH} y={foot} text-anchor=end>{to}</text></svg>"
        )
    }

    /// A bound in the unit that shows it best.
    fn bound(&self, bound: f64) -> String {
        let name = self.title.split('{').next().unwrap_or_default();
        if bound.is_infinite() {
            "more".to_owned()
        } else if name.ends_with("_seconds") {
            seconds(bound)
        } else {
            bound.to_string()
        }
    }
}

fn seconds(bound: f64) -> String {
    if bound >= 1.0 || bound == 0.0 {
        format!("{bound} s")
    } else if bound >= 1e-3 {
        format!("{} ms", rounded(bound * 1e3))
    } else {
        format!("{} µs", rounded(bound * 1e6))
    }
}

/// Three decimals at most, none that says nothing.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = include_str!("../../scenario/tests/fixtures/http-latency/metrics.om");

    #[test]
    fn buckets_are_no_longer_cumulative() {
        let all = histograms(METRICS);
        let counts: Vec<f64> = all.iter().map(|histogram| histogram.count).collect();
        assert_eq!(counts, [53.0, 2.0]);
        for histogram in &all {
            let sum: f64 = histogram.buckets.iter().map(|(_, count)| count).sum();
            assert_eq!(sum, histogram.count, "{histogram:?}");
        }
        let slow = all[0].buckets.iter().find(|(bound, _)| *bound == 1.0);
        assert_eq!(slow, Some(&(1.0, 1.0)));
        assert!(all[0].title.contains("http_response_status_code=200"));
        assert!(!all[0].title.contains("le="));
    }

    #[test]
    fn a_picture_has_a_bar_for_each_filled_bucket_and_its_bounds() {
        let svg = histograms(METRICS)[0].svg();
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert!(svg.contains(">0</text>") && svg.contains(">1 s</text>"), "{svg}");
    }

    #[test]
    fn silence_and_nonsense_have_no_picture() {
        assert!(histograms("").is_empty());
        assert!(histograms("# EOF\n").is_empty());
        assert!(histograms("no metrics here").is_empty());
    }
}
