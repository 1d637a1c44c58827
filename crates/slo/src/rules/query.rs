//! The PromQL of the rules.

use crate::{Budgeting, Measure, Objective, Selector, duration, duration::Milliseconds, selector::quoted};

/// The name under which an error ratio is recorded.
pub(super) fn recorded(bound: &str, window_ms: Milliseconds) -> String {
    format!("slo:error_ratio_{bound}:increase{}", duration::text(window_ms))
}

/// The labels of the objective's own series.
pub(super) fn own(objective: &Objective) -> String {
    format!(
        "{{service={},slo={}}}",
        quoted(&objective.service),
        quoted(&objective.name)
    )
}

/// A number as short as it can be, without the noise of a product's last digit.
pub(super) fn number(value: f64) -> String {
    let rounded = (value * 1e12).round() / 1e12;
    rounded.to_string()
}

/// The share of what is bad over a time.
pub(super) fn error_ratio(objective: &Objective, bound: &str, window_ms: Milliseconds) -> String {
    match objective.budgeting {
        Budgeting::Timeslices { slice_ms, target } if window_ms > slice_ms => {
            let slice = format!("{}{}", recorded(bound, slice_ms), own(objective));
            // Without traffic the ratio is no number, which is not above anything: such a slice is good.
            let most = number(1.0 - target.ratio());
            format!(
                "avg_over_time(({slice} > bool {most}){})",
                subquery(window_ms, slice_ms)
            )
        }
        Budgeting::RatioTimeslices { slice_ms } if window_ms > slice_ms => {
            let slice = format!("{}{}", recorded(bound, slice_ms), own(objective));
            // The comparison drops slices without traffic.
            format!("avg_over_time(({slice} >= 0){})", subquery(window_ms, slice_ms))
        }
        _ => of_events(objective, bound, window_ms),
    }
}

fn subquery(window_ms: Milliseconds, slice_ms: Milliseconds) -> String {
    format!("[{}:{}]", duration::text(window_ms), duration::text(slice_ms))
}

fn of_events(objective: &Objective, bound: &str, window_ms: Milliseconds) -> String {
    let unknown = sum(&objective.indicator.losses, window_ms);
    let (bad, known) = match &objective.indicator.measure {
        Measure::Ratio {
            part,
            part_is_good,
            total,
        } => {
            let (part, total) = (sum(part, window_ms), sum(total, window_ms));
            (
                if *part_is_good {
                    format!("({total} - {part})")
                } else {
                    part
                },
                total,
            )
        }
        Measure::Bucket {
            histogram,
            good_is_above,
            ..
        } => {
            let count = format!(
                "sum(increase({}[{}]))",
                counts(histogram),
                duration::text(window_ms)
            );
            let within = format!(
                "sum(increase({}[{}]))",
                within(objective, histogram),
                duration::text(window_ms)
            );
            (
                if *good_is_above {
                    within
                } else {
                    format!("({count} - {within})")
                },
                count,
            )
        }
    };
    match (unknown.as_str(), bound) {
        ("0", _) => format!("{bad} / {known}"),
        (_, "lower") => format!("{bad} / ({known} + {unknown})"),
        _ => format!("({bad} + {unknown}) / ({known} + {unknown})"),
    }
}

/// Several counters together. One that is not there has counted nothing.
fn sum(selectors: &[Selector], window_ms: Milliseconds) -> String {
    let window = duration::text(window_ms);
    let parts: Vec<String> = selectors
        .iter()
        .map(|selector| format!("(sum(increase({selector}[{window}])) or vector(0))"))
        .collect();
    match parts.len() {
        0 => "0".to_owned(),
        1 => parts.concat(),
        _ => format!("({})", parts.join(" + ")),
    }
}

fn counts(histogram: &Selector) -> Selector {
    histogram.renamed(&format!("{}_count", histogram.name()))
}

/// The bucket that ends with the bound. A whole number is written with a decimal or without one.
fn within(objective: &Objective, histogram: &Selector) -> Selector {
    let buckets = histogram.renamed(&format!("{}_bucket", histogram.name()));
    match objective.indicator.measure {
        Measure::Bucket { bound, .. } if bound.fract() == 0.0 => {
            buckets.matching_label("le", &format!("{bound}([.]0)?"))
        }
        Measure::Bucket { bound, .. } => buckets.having("le", &bound.to_string()),
        Measure::Ratio { .. } => buckets,
    }
}

/// Is there while the histogram is, and the bucket is not.
pub(super) fn bound_is_missing(objective: &Objective) -> String {
    let Measure::Bucket { histogram, .. } = &objective.indicator.measure else {
        return "vector(0) > 0".to_owned();
    };
    format!(
        "(count({}) unless count({}))",
        counts(histogram),
        within(objective, histogram)
    )
}
