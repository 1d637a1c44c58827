//! How each kind of expectation is decided, and how its evidence reads.
//!
//! Evidence is for people who were not there: it says how much was compared, where the two sides are
//! furthest apart, and which key is missing on which side.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ExpectationResult, buckets,
    expectation::{AtMost, Check, Equal, Expectation, Ranked, Select, Value},
    series::{Key, Nothing, Sources},
    text::{count, duration},
    within,
};

/// Half of the finest clock's step: what binary fractions of seconds may add to an exact comparison.
pub(crate) const ROUNDING_SECONDS: f64 = 0.5e-9;

/// Groups that are shown in the evidence before it says how many more there are.
const SHOWN: usize = 6;

/// Whether something held, over how many values, in words. An `Err` had nothing to compare.
pub(crate) type Decision = Result<(bool, usize, String), String>;

pub(crate) fn decide(expectation: &Expectation, sources: &Sources) -> ExpectationResult {
    let decision = match &expectation.check {
        Check::Equal(equal) => decide_equal(equal, sources),
        Check::Value(value) => decide_value(value, sources),
        Check::Within(within) => within::decide(within, sources),
        Check::AtMost(at_most) => decide_at_most(at_most, sources),
        Check::Ranked(ranked) => decide_ranked(ranked, sources),
        Check::Buckets(buckets) => buckets::decide(buckets, sources),
    };
    let (held, compared, evidence) = match decision {
        Ok(decided) => decided,
        Err(reason) => (false, 0, format!("nothing to compare: {reason}")),
    };
    let name = expectation.name.get_ref().clone();
    ExpectationResult {
        name,
        held: held && compared > 0,
        must_fail: false,
        compared: compared as u64,
        evidence,
    }
}

pub(crate) type Groups = BTreeMap<Key, Vec<f64>>;

pub(crate) fn groups(select: &Select, sources: &Sources) -> Result<Groups, String> {
    select
        .groups(sources)
        .map_err(|nothing| nothing.reason().to_owned())
}

pub(crate) fn both(left: &Select, right: &Select, sources: &Sources) -> Result<(Groups, Groups), String> {
    Ok((groups(left, sources)?, groups(right, sources)?))
}

/// The sums of both sides by group. A group that only one side has counts as zero on the other, so that a
/// counter that was never touched equals one that is not there; `shared` counts those on both sides.
struct Sums {
    by_group: Vec<(Key, f64, f64)>,
    shared: usize,
}

fn sums(left: &Select, right: &Select, sources: &Sources) -> Result<Sums, String> {
    let (left, right) = both(left, right, sources)?;
    let keys: BTreeSet<&Key> = left.keys().chain(right.keys()).collect();
    let sum = |groups: &Groups, key| groups.get(key).map_or(0.0, |values| values.iter().sum::<f64>());
    Ok(Sums {
        shared: left.keys().filter(|key| right.contains_key(key)).count(),
        by_group: keys
            .into_iter()
            .map(|key| (key.clone(), sum(&left, key), sum(&right, key)))
            .collect(),
    })
}

/// At least one group must be on both sides.
fn decide_equal(equal: &Equal, sources: &Sources) -> Decision {
    let Sums { by_group, shared } = sums(&equal.left, &equal.right, sources)?;
    let (left_name, right_name) = (equal.left.source.get_ref(), equal.right.source.get_ref());
    let (mut same, mut different) = (Vec::new(), Vec::new());
    for (key, of_left, of_right) in &by_group {
        if of_left == of_right {
            same.push(format!("{key}: {of_left}"));
        } else {
            different.push(format!("{key}: {left_name} {of_left}, {right_name} {of_right}"));
        }
    }
    let total = count(by_group.len(), "group");
    if !different.is_empty() {
        return Ok((
            false,
            by_group.len(),
            format!("{} of {total} differ: {}", different.len(), list(&different)),
        ));
    }
    if shared == 0 {
        return Err(format!("{left_name} and {right_name} share no group"));
    }
    Ok((
        true,
        by_group.len(),
        format!("{total} equal in {left_name} and {right_name}: {}", list(&same)),
    ))
}

/// At least one group must be on both sides.
fn decide_at_most(at_most: &AtMost, sources: &Sources) -> Decision {
    let Sums { by_group, shared } = sums(&at_most.left, &at_most.right, sources)?;
    let (left_name, right_name) = (at_most.left.source.get_ref(), at_most.right.source.get_ref());
    let words = |(key, of_left, of_right): &(Key, f64, f64)| {
        format!("{key} ({left_name} {of_left}, {right_name} {of_right})")
    };
    let above: Vec<String> = by_group
        .iter()
        .filter(|(_, of_left, of_right)| {
            of_left
                .partial_cmp(of_right)
                .is_none_or(std::cmp::Ordering::is_gt)
        })
        .map(words)
        .collect();
    let total = count(by_group.len(), "group");
    if !above.is_empty() {
        return Ok((
            false,
            by_group.len(),
            format!("{} of {total} above: {}", above.len(), list(&above)),
        ));
    }
    let slack = |(_, of_left, of_right): &(Key, f64, f64)| of_right - of_left;
    let tightest = by_group.iter().min_by(|a, b| slack(a).total_cmp(&slack(b)));
    let Some(tightest) = tightest.filter(|_| shared > 0) else {
        return Err(format!("{left_name} and {right_name} share no group"));
    };
    Ok((
        true,
        by_group.len(),
        format!(
            "{total} of {left_name} ≤ {right_name}: tightest at {}: {} to spare",
            words(tightest),
            slack(tightest)
        ),
    ))
}

pub(crate) fn list(items: &[String]) -> String {
    let shown = items.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

fn decide_value(value: &Value, sources: &Sources) -> Decision {
    let groups = match value.of.groups(sources) {
        Ok(groups) => groups,
        // The source did answer; that it never counted is then an answer too.
        Err(Nothing::NoSeries(_)) if value.absent_is_zero => {
            let (held, bounds) = bounds(value, 0.0);
            let (source, series) = (value.of.source.get_ref(), value.of.series.get_ref());
            return Ok((
                held,
                1,
                format!("`{series}` of {source} is absent, which counts as 0; {bounds}"),
            ));
        }
        Err(nothing) => return Err(nothing.reason().to_owned()),
    };
    let mut all_held = true;
    let mut words = Vec::new();
    for (key, values) in &groups {
        let sum: f64 = values.iter().sum();
        let (held, bounds) = bounds(value, sum);
        all_held &= held;
        words.push(format!("{key}: {sum} ({bounds})"));
    }
    let series = value.of.series.get_ref();
    Ok((
        all_held,
        groups.len(),
        format!("`{series}` of {}: {}", value.of.source.get_ref(), list(&words)),
    ))
}

/// Whether a number keeps to the bounds, and the bounds in words.
fn bounds(value: &Value, number: f64) -> (bool, String) {
    let mut held = true;
    let mut words = Vec::new();
    for (bound, word, is_kept) in [
        (
            value.is,
            "must be",
            (|number, bound| number == bound) as fn(f64, f64) -> bool,
        ),
        (value.at_least, "at least", |number, bound| number >= bound),
        (value.at_most, "at most", |number, bound| number <= bound),
    ] {
        if let Some(bound) = bound {
            held &= is_kept(number, bound);
            words.push(format!("{word} {bound}"));
        }
    }
    (held, words.join(", "))
}

fn decide_ranked(ranked: &Ranked, sources: &Sources) -> Decision {
    let (left, right) = both(&ranked.left, &ranked.right, sources)?;
    let (left_name, right_name) = (ranked.left.source.get_ref(), ranked.right.source.get_ref());
    let slack = ranked
        .slack_seconds
        .as_ref()
        .map_or(0.0, |slack| *slack.get_ref());
    let mut problems = Vec::new();
    let (mut compared, mut above) = (0, 0);
    let mut tightest: Option<(f64, String)> = None;
    for key in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
        let (of_left, of_right) = (sorted(&left, key), sorted(&right, key));
        if of_left.len() != of_right.len() {
            problems.push(format!(
                "{key}: {left_name} has {}, {right_name} has {}",
                count(of_left.len(), "value"),
                count(of_right.len(), "value")
            ));
        }
        for (index, (low, high)) in of_left.iter().zip(&of_right).enumerate() {
            compared += 1;
            let room = high - low;
            above += usize::from(room + slack + ROUNDING_SECONDS < 0.0);
            if tightest.as_ref().is_none_or(|(least, _)| room < *least) {
                let values = format!("{left_name} {}, {right_name} {}", duration(*low), duration(*high));
                tightest = Some((
                    room,
                    format!("rank {} of {} ({values})", index + 1, of_left.len()),
                ));
            }
        }
    }
    let Some((room, place)) = tightest else {
        return Err(format!(
            "{left_name} and {right_name} share no group; {}",
            list(&problems)
        ));
    };
    if above > 0 {
        problems.insert(0, format!("{above} of {} above", count(compared, "rank")));
    }
    let held = problems.is_empty();
    problems.push(format!("tightest at {place}: {} to spare", duration(room)));
    let ranks = count(compared, "rank");
    let line = format!(
        "{ranks} of {left_name} ≤ {right_name} + {}: {}",
        duration(slack),
        problems.join("; ")
    );
    Ok((held, compared, line))
}

fn sorted(groups: &Groups, key: &Key) -> Vec<f64> {
    let mut values = groups.get(key).cloned().unwrap_or_default();
    values.sort_by(f64::total_cmp);
    values
}
