//! One order of numbers for everything that must not depend on the order of its input.

use std::cmp::Ordering;

/// Compares number by number; shorter comes first.
pub(crate) fn by_numbers(one: &[f64], other: &[f64]) -> Ordering {
    one.iter()
        .zip(other)
        .map(|(one, other)| one.total_cmp(other))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| one.len().cmp(&other.len()))
}

/// The value in the middle, or between the two in the middle; of nothing it is not a number.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}
