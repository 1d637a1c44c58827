//! How a histogram is compared with the values that it should have counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    compare::{Decision, ROUNDING_SECONDS, groups, list},
    expectation::{Buckets, Select},
    series::{Key, Sources},
    text::{count, duration},
};

pub(crate) fn decide(buckets: &Buckets, sources: &Sources) -> Decision {
    let histograms = histograms(&buckets.left, sources)?;
    let values = groups(&buckets.right, sources)?;
    let tolerance = *buckets.tolerance_seconds.get_ref();
    let (mut compared, mut problems) = (0, Vec::new());
    let mut worst: Option<(u64, String)> = None;
    for key in histograms.keys().chain(values.keys()).collect::<BTreeSet<_>>() {
        let (Some(histogram), Some(values)) = (histograms.get(key), values.get(key)) else {
            let lacking = if histograms.contains_key(key) {
                &buckets.right
            } else {
                &buckets.left
            };
            problems.push(format!("{} has nothing for {key}", lacking.source.get_ref()));
            continue;
        };
        compared += values.len();
        for (Bound(bound), in_histogram) in histogram {
            let counted = values.iter().filter(|value| *value <= bound).count() as u64;
            let near = |value: &&f64| (*value - bound).abs() <= tolerance + ROUNDING_SECONDS;
            let allowed = values.iter().filter(near).count() as u64;
            let difference = counted.abs_diff(*in_histogram);
            let place = format!(
                "{difference} at {key},le={bound} (histogram {in_histogram}, values {counted}, {allowed} within tolerance)"
            );
            if difference > allowed {
                problems.push(place.clone());
            }
            if worst.as_ref().is_none_or(|(most, _)| difference > *most) {
                worst = Some((difference, place));
            }
        }
    }
    let Some((_, worst)) = worst else {
        return Err(format!("the two sides share no group; {}", list(&problems)));
    };
    let bounds: usize = histograms.values().map(BTreeMap::len).sum();
    let opening = format!(
        "{} against {}, tolerance {}",
        count(compared, "value"),
        count(bounds, "bucket"),
        duration(tolerance)
    );
    if problems.is_empty() {
        return Ok((true, compared, format!("{opening}: largest difference {worst}")));
    }
    Ok((false, compared, format!("{opening}: {}", list(&problems))))
}

/// An upper bound of a bucket, in seconds.
#[derive(PartialEq)]
struct Bound(f64);

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The cumulative buckets of each group.
fn histograms(select: &Select, sources: &Sources) -> Result<BTreeMap<Key, BTreeMap<Bound, u64>>, String> {
    let mut groups: BTreeMap<Key, BTreeMap<Bound, u64>> = BTreeMap::new();
    for series in select
        .series(sources, "_bucket")
        .map_err(|nothing| nothing.reason().to_owned())?
    {
        let text = series.labels.get("le").map_or("", String::as_str);
        let bound = text
            .parse()
            .map_err(|_| format!("`{}` has the bound `{text}`", series.name))?;
        *groups
            .entry(select.key(series))
            .or_default()
            .entry(Bound(bound))
            .or_default() += series.value as u64;
    }
    Ok(groups)
}
