//! How two sides are compared that may differ by a tolerance.

use crate::{
    compare::{Decision, Groups, ROUNDING_SECONDS, both},
    expectation::{Tolerance, Within},
    series::{Key, Sources},
    text::{count, duration},
};

pub(crate) fn decide(within: &Within, sources: &Sources) -> Decision {
    let (left, right) = both(&within.left, &within.right, sources)?;
    let (left_name, right_name) = (within.left.source.get_ref(), within.right.source.get_ref());
    let tolerance = &within.tolerance;
    let mut problems = Vec::new();
    if matches!(tolerance, Tolerance::Seconds(_)) {
        problems.extend(
            many_values(left_name, &left)
                .into_iter()
                .chain(many_values(right_name, &right)),
        );
    }
    problems.extend(missing(left_name, &left, right_name, &right));
    problems.extend(missing(right_name, &right, left_name, &left));

    let pairs: Vec<Pair<'_>> = left
        .iter()
        .filter_map(|(key, values)| {
            let (left, right) = (tolerance.one_value(values), tolerance.one_value(right.get(key)?));
            Some(Pair { key, left, right })
        })
        .collect();
    let apart = |pair: &Pair<'_>| tolerance.difference(pair.left, pair.right);
    let Some(worst) = pairs.iter().max_by(|a, b| apart(a).total_cmp(&apart(b))) else {
        return Err(format!(
            "{left_name} and {right_name} share no key; {}",
            problems.join("; ")
        ));
    };
    let too_far = pairs
        .iter()
        .filter(|pair| !tolerance.allows(pair.left, pair.right))
        .count();
    let allowed = tolerance.in_words(*tolerance.number().get_ref());
    if too_far > 0 {
        let first = format!("{too_far} of {} are further apart than {allowed}", pairs.len());
        problems.insert(0, first);
    }
    let held = problems.is_empty();
    problems.push(format!(
        "worst difference {} at {} ({left_name} {}, {right_name} {})",
        tolerance.in_words(apart(worst)),
        worst.key,
        tolerance.value_in_words(worst.left),
        tolerance.value_in_words(worst.right)
    ));
    let compared = count(pairs.len(), "value");
    let line = format!(
        "{compared} compared, tolerance {allowed}: {}",
        problems.join("; ")
    );
    Ok((held, pairs.len(), line))
}

/// The values of one group on both sides.
struct Pair<'a> {
    key: &'a Key,
    left: f64,
    right: f64,
}

/// Two measurements under one key would hide each other.
fn many_values(name: &str, groups: &Groups) -> Option<String> {
    let (key, values) = groups.iter().find(|(_, values)| values.len() != 1)?;
    Some(format!("{name} has {} values for {key}", values.len()))
}

/// A key that one side lacks is a measurement that was not made.
fn missing(has: &str, one: &Groups, lacks: &str, other: &Groups) -> Option<String> {
    let mut missing = one.keys().filter(|key| !other.contains_key(key));
    let first = missing.next()?;
    Some(format!(
        "{} of {has} missing in {lacks}, first {first}",
        missing.count() + 1
    ))
}

impl Tolerance {
    /// The value of a group, which is never empty.
    fn one_value(&self, values: &[f64]) -> f64 {
        match self {
            Tolerance::Seconds(_) => values.first().copied().unwrap_or(f64::NAN),
            Tolerance::Number(_) | Tolerance::Ratio(_) => values.iter().sum(),
        }
    }

    /// How far apart two values are, in the unit of the tolerance.
    fn difference(&self, left: f64, right: f64) -> f64 {
        let difference = (left - right).abs();
        match self {
            Tolerance::Ratio(_) if difference == 0.0 => 0.0,
            Tolerance::Ratio(_) => difference / right.abs(),
            Tolerance::Seconds(_) | Tolerance::Number(_) => difference,
        }
    }

    /// Whether two values are near enough. What is no number is near nothing.
    fn allows(&self, left: f64, right: f64) -> bool {
        let rounding = match self {
            Tolerance::Seconds(_) => ROUNDING_SECONDS,
            // What the subtraction of two binary fractions may add.
            Tolerance::Number(_) => f64::EPSILON * left.abs().max(right.abs()),
            Tolerance::Ratio(_) => f64::EPSILON,
        };
        self.difference(left, right) <= self.number().get_ref() + rounding
    }

    /// A difference in words.
    fn in_words(&self, difference: f64) -> String {
        match self {
            Tolerance::Ratio(_) if difference.is_infinite() => "beyond any ratio".to_owned(),
            Tolerance::Ratio(_) => format!("{:.3} %", difference * 100.0),
            Tolerance::Seconds(_) | Tolerance::Number(_) => self.value_in_words(difference),
        }
    }

    fn value_in_words(&self, value: f64) -> String {
        match self {
            Tolerance::Seconds(_) => duration(value),
            Tolerance::Number(_) | Tolerance::Ratio(_) => value.to_string(),
        }
    }
}
