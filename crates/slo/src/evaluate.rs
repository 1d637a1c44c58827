//! What the readings say of an objective: met, missed or undecided, how much of the error budget is left, and how fast
//! it goes.

use crate::{
    AlertRule, Budgeting, Objective,
    counts::{Counts, Interval},
    duration::{self, Milliseconds},
    history::History,
    notes::notes,
    report::{Bound, Budget, Burn, Evaluation, Fires, Report, Status},
    scrape::Scrape,
    window::{Steps, Window},
};

/// Evaluates objectives at the time of the last reading.
pub fn evaluate(objectives: &[Objective], history: &History) -> Report {
    let scrapes = history.scrapes();
    Report {
        schema_version: 1,
        objectives: objectives
            .iter()
            .map(|objective| one(objective, &scrapes))
            .collect(),
    }
}

fn one(objective: &Objective, scrapes: &[&Scrape]) -> Evaluation {
    let steps = Steps::new(&objective.indicator, scrapes);
    let end_ms = steps.end_ms().unwrap_or(0);
    let window = steps.window(end_ms - objective.window_ms, end_ms);
    let is_observed = scrapes
        .last()
        .is_some_and(|last| objective.indicator.is_observed(last));
    let (budgeted, good) = budgeted(objective, &steps, window, end_ms - objective.window_ms);
    let (status, crossed) = match window {
        Some(_) if is_observed => verdict(objective, budgeted, good),
        _ => (Status::Unobserved, None),
    };
    let (from_ms, to_ms) = window.map_or((end_ms, end_ms), |window| (window.from_ms, window.to_ms));
    let events = window.map(|window| window.counts).unwrap_or_default();
    let allowed = objective.target.budget_ratio();
    Evaluation {
        name: objective.name.clone(),
        service: objective.service.clone(),
        target_percent: objective.target.percent(),
        window_seconds: seconds(objective.window_ms),
        covered_seconds: seconds(to_ms - from_ms),
        from_unix_seconds: seconds(from_ms),
        to_unix_seconds: seconds(to_ms),
        status,
        crossed,
        total: events.known(),
        events,
        budgeted,
        good_percent: good.map(|good| good.scaled(100.0)),
        budget: good.map(|good| {
            let used = Interval {
                lo: (1.0 - good.hi) / allowed,
                hi: (1.0 - good.lo) / allowed,
            };
            Budget {
                allowed_percent: allowed * 100.0,
                used_percent: used.scaled(100.0),
                left_percent: Interval {
                    lo: (1.0 - used.hi) * 100.0,
                    hi: (1.0 - used.lo) * 100.0,
                },
            }
        }),
        burn: objective
            .alerts
            .iter()
            .map(|rule| burn(objective, rule, &steps, end_ms))
            .collect(),
        notes: notes(objective, scrapes, window, events),
    }
}

/// What the budget is made of in a window, and the share of it that is good.
fn budgeted(
    objective: &Objective,
    steps: &Steps,
    window: Option<Window>,
    from_ms: Milliseconds,
) -> (Counts, Option<Interval>) {
    match objective.budgeting {
        Budgeting::Occurrences => {
            let counts = window.map(|window| window.counts).unwrap_or_default();
            (counts, counts.good_ratio())
        }
        Budgeting::Timeslices { slice_ms, target } => {
            let slices = covered_slices(steps, window, from_ms, slice_ms);
            let judged = slices.map(|Counts { good, bad, unknown }| {
                let all = good + bad + unknown;
                if target.is_met(good, all) {
                    Counts {
                        good: 1,
                        ..Counts::default()
                    }
                } else if target.is_met(good + unknown, all) {
                    Counts {
                        unknown: 1,
                        ..Counts::default()
                    }
                } else {
                    Counts {
                        bad: 1,
                        ..Counts::default()
                    }
                }
            });
            let counts: Counts = judged.sum();
            (counts, counts.good_ratio())
        }
        Budgeting::RatioTimeslices { slice_ms } => {
            let slices: Vec<Counts> = covered_slices(steps, window, from_ms, slice_ms).collect();
            let ratios: Vec<Interval> = slices.iter().filter_map(|slice| slice.good_ratio()).collect();
            let mean = |of: fn(&Interval) -> f64| ratios.iter().map(of).sum::<f64>() / ratios.len() as f64;
            let good = (!ratios.is_empty()).then(|| Interval {
                lo: mean(|ratio| ratio.lo),
                hi: mean(|ratio| ratio.hi),
            });
            (slices.into_iter().sum(), good)
        }
    }
}

fn covered_slices(
    steps: &Steps,
    window: Option<Window>,
    from_ms: Milliseconds,
    slice_ms: Milliseconds,
) -> impl Iterator<Item = Counts> {
    // A reading a little after the window's start is the one it begins with; much later, and the first slices are not
    // covered.
    let begin_ms = window.map_or(Milliseconds::MAX, |window| {
        let is_whole = window.from_ms - from_ms <= slice_ms / 2;
        if is_whole { from_ms } else { window.from_ms }
    });
    let slices = steps.slices(begin_ms, slice_ms);
    slices.into_iter().map(|slice| slice.counts)
}

fn verdict(objective: &Objective, counts: Counts, good: Option<Interval>) -> (Status, Option<Bound>) {
    let Some(good) = good else {
        return (Status::NoTraffic, None);
    };
    let target = objective.target;
    // Counts are compared exactly; a mean of ratios has no whole numbers to compare.
    let (lo_is_met, hi_is_met) = match objective.budgeting {
        Budgeting::RatioTimeslices { .. } => (good.lo >= target.ratio(), good.hi >= target.ratio()),
        _ => (
            target.is_met(counts.good, counts.all()),
            target.is_met(counts.good + counts.unknown, counts.all()),
        ),
    };
    match (lo_is_met, hi_is_met) {
        (true, _) => (Status::Met, None),
        (false, true) => (Status::Undecided, Some(Bound::Lo)),
        (false, false) => (Status::Missed, Some(Bound::Hi)),
    }
}

fn burn(objective: &Objective, rule: &AlertRule, steps: &Steps, end_ms: Milliseconds) -> Burn {
    let rate = |window_ms: Milliseconds| -> Option<Option<Interval>> {
        let window = steps.window(end_ms - window_ms, end_ms)?;
        let slice_is_longer = objective
            .budgeting
            .slice_ms()
            .is_some_and(|slice_ms| slice_ms > window_ms);
        let (_, good) = if slice_is_longer {
            (window.counts, window.counts.good_ratio())
        } else {
            budgeted(objective, steps, Some(window), end_ms - window_ms)
        };
        let allowed = objective.target.budget_ratio();
        Some(good.map(|good| Interval {
            lo: (1.0 - good.hi) / allowed,
            hi: (1.0 - good.lo) / allowed,
        }))
    };
    let (long, short) = (rate(rule.long_ms), rule.short_ms.map(rate));
    let over = |rate: f64| rate > rule.threshold || (rule.or_equal && rate == rule.threshold);
    let all = [Some(long), short];
    let rates: Option<Vec<Option<Interval>>> = all.into_iter().flatten().collect();
    let fires = match rates {
        None => Fires::Unmeasured,
        Some(rates) if rates.iter().all(|rate| rate.is_some_and(|rate| over(rate.lo))) => Fires::Certainly,
        Some(rates) if rates.iter().all(|rate| rate.is_some_and(|rate| over(rate.hi))) => Fires::Possibly,
        Some(_) => Fires::No,
    };
    Burn {
        severity: rule.severity.clone(),
        threshold: rule.threshold,
        long_window: duration::text(rule.long_ms),
        long: long.flatten(),
        short_window: rule.short_ms.map(duration::text),
        short: short.flatten().flatten(),
        fires,
    }
}

fn seconds(milliseconds: Milliseconds) -> f64 {
    milliseconds as f64 / 1e3
}
