//! What is counted: from two readings to the events between them, good, bad or unknown.

use std::collections::BTreeMap;

use crate::{
    counts::Counts,
    scrape::{Key, Scrape},
    selector::Selector,
};

/// What is counted, and who says what of it was lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicator {
    /// Which events are good.
    pub measure: Measure,
    /// Series that count events whose outcome nobody knows, and hook hits that may have been an event. A hit is taken
    /// for one event at most.
    pub losses: Vec<Selector>,
    /// The series that is 1 while the probe behind it is in place; without one, silence is no evidence.
    pub evidence: Option<Selector>,
}

/// Which events are good.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// Those that some counters count, out of those that others count.
    Ratio {
        /// What the numerator counts.
        part: Vec<Selector>,
        /// Whether the numerator counts good events, or bad ones.
        part_is_good: bool,
        /// What all events are counted by.
        total: Vec<Selector>,
    },
    /// Those of a histogram that are at most, or above, a bound.
    Bucket {
        /// The histogram, by the name of its family.
        histogram: Selector,
        /// The bound, in the unit of the histogram, which is seconds for a duration.
        bound: f64,
        /// Whether values above the bound are the good ones.
        good_is_above: bool,
    },
}

/// A bound that a histogram does not have, between two that it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Imprecise {
    pub(crate) bound: f64,
    pub(crate) below: f64,
    pub(crate) above: f64,
}

impl Indicator {
    /// The names of the series it needs.
    pub fn names(&self) -> Vec<String> {
        let mut names = match &self.measure {
            Measure::Ratio { part, total, .. } => part
                .iter()
                .chain(total)
                .map(|side| side.name().to_owned())
                .collect(),
            Measure::Bucket { histogram, .. } => {
                vec![
                    format!("{}_bucket", histogram.name()),
                    format!("{}_count", histogram.name()),
                ]
            }
        };
        let others = self.losses.iter().chain(&self.evidence);
        names.extend(others.map(|selector| selector.name().to_owned()));
        names
    }

    /// The events between two readings of which no process was started anew in between, or else those since it was.
    pub(crate) fn counts(&self, earlier: &Scrape, later: &Scrape) -> Counts {
        let between = Between {
            earlier,
            later,
            is_restarted: later.is_restarted_since(earlier),
        };
        let unknown = between.sum(&self.losses);
        let counts = match &self.measure {
            Measure::Ratio {
                part,
                part_is_good,
                total,
            } => {
                let (part, total) = (between.sum(part), between.sum(total));
                let rest = total.saturating_sub(part);
                let (good, bad) = if *part_is_good { (part, rest) } else { (rest, part) };
                Counts {
                    good,
                    bad,
                    unknown: 0,
                }
            }
            Measure::Bucket {
                histogram,
                bound,
                good_is_above,
            } => {
                let Counts { good, bad, unknown } = between.split(histogram, *bound);
                let (good, bad) = if *good_is_above { (bad, good) } else { (good, bad) };
                Counts { good, bad, unknown }
            }
        };
        Counts {
            unknown: counts.unknown + unknown,
            ..counts
        }
    }

    /// Whether somebody was there who would have counted an event.
    pub(crate) fn is_observed(&self, scrape: &Scrape) -> bool {
        match (&self.evidence, &self.measure) {
            (Some(evidence), _) => scrape.select(evidence).any(|(_, value)| value == 1.0),
            (None, Measure::Ratio { total, .. }) => {
                total.iter().any(|total| scrape.select(total).next().is_some())
            }
            (None, Measure::Bucket { histogram, .. }) => {
                let count = histogram.renamed(&format!("{}_count", histogram.name()));
                scrape.select(&count).next().is_some()
            }
        }
    }

    /// The bound, where a histogram lacks it.
    pub(crate) fn imprecision(&self, scrape: &Scrape) -> Option<Imprecise> {
        let Measure::Bucket { histogram, bound, .. } = &self.measure else {
            return None;
        };
        let buckets = histogram.renamed(&format!("{}_bucket", histogram.name()));
        let bounds: Vec<f64> = scrape
            .select(&buckets)
            .filter_map(|(key, _)| upper_bound(key))
            .collect();
        if bounds.is_empty() || bounds.contains(bound) {
            return None;
        }
        let below = bounds
            .iter()
            .copied()
            .filter(|have| have < bound)
            .fold(0.0, f64::max);
        let above = bounds
            .iter()
            .copied()
            .filter(|have| have > bound)
            .fold(f64::INFINITY, f64::min);
        Some(Imprecise {
            bound: *bound,
            below,
            above,
        })
    }
}

fn upper_bound(key: &Key) -> Option<f64> {
    // `+Inf` is a number to Rust, too.
    key.labels.get("le")?.parse().ok()
}

/// The labels of a bucket but for its bound.
type Others<'a> = Vec<(&'a str, &'a str)>;

/// Two readings, one after the other.
struct Between<'a> {
    earlier: &'a Scrape,
    later: &'a Scrape,
    is_restarted: bool,
}

impl Between<'_> {
    /// By how much a counter rose. One that was not there had counted nothing: a series shows with its first event.
    fn increase(&self, key: &Key, now: f64) -> u64 {
        let before = if self.is_restarted {
            None
        } else {
            self.earlier.value(key)
        };
        (now - before.unwrap_or(0.0)).max(0.0).round() as u64
    }

    fn sum(&self, selectors: &[Selector]) -> u64 {
        let increases = selectors.iter().flat_map(|selector| {
            let series = self.later.select(selector);
            series.map(|(key, now)| self.increase(key, now))
        });
        increases.sum()
    }

    /// The values of a histogram at most `bound` as good ones, above it as bad ones, and those of the bucket that the
    /// bound is in the middle of as unknown ones.
    fn split(&self, histogram: &Selector, bound: f64) -> Counts {
        let buckets = histogram.renamed(&format!("{}_bucket", histogram.name()));
        let mut at_most: BTreeMap<Others<'_>, Vec<(f64, u64)>> = BTreeMap::new();
        for (key, now) in self.later.select(&buckets) {
            let Some(upper) = upper_bound(key) else { continue };
            let others = key.labels.iter().filter(|(label, _)| *label != "le");
            let others = others
                .map(|(label, value)| (label.as_str(), value.as_str()))
                .collect();
            at_most
                .entry(others)
                .or_default()
                .push((upper, self.increase(key, now)));
        }
        let mut counts = Counts::default();
        for buckets in at_most.into_values() {
            let upto = |keep: &dyn Fn(f64) -> bool| {
                let kept = buckets.iter().filter(|(upper, _)| keep(*upper));
                kept.map(|(_, count)| *count).max().unwrap_or(0)
            };
            let all = upto(&|_| true);
            let good = upto(&|upper| upper <= bound);
            let least_above = buckets
                .iter()
                .map(|(upper, _)| *upper)
                .filter(|upper| *upper >= bound);
            let least_above = least_above.fold(f64::INFINITY, f64::min);
            let not_bad = upto(&|upper| upper <= least_above);
            counts = counts
                + Counts {
                    good,
                    bad: all - not_bad,
                    unknown: not_bad - good,
                };
        }
        counts
    }
}
