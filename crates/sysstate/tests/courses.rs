//! Traffic that builds up is warned of before it is too much; a deploy, a scheduled job and the course of a day are not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::Numbers;
use proptest::prelude::*;
use sysstate::{Course, Limit, Trend};

const LIMIT: f64 = 10_000.0;

/// The first window with a warning, and the first one at the limit.
fn first(rates: impl IntoIterator<Item = f64>) -> (Option<usize>, Option<usize>) {
    let mut trend = Trend::new(Limit {
        per_second: LIMIT,
        horizon_windows: Limit::HORIZON_WINDOWS,
    });
    let (mut warned, mut over) = (None, None);
    for (at, rate) in rates.into_iter().enumerate() {
        match trend.observe(Some(rate)) {
            Course::Calm => {}
            Course::Warning { .. } => warned = warned.or(Some(at)),
            Course::Over => over = over.or(Some(at)),
        }
    }
    (warned, over)
}

/// A level from -> to after `calm` windows, each off by at most a twentieth.
fn course(seed: u64, windows: usize, rate: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut numbers = Numbers(seed);
    (0..windows)
        .map(|at| rate(at) * numbers.about_one(0.05))
        .collect()
}

#[test]
fn an_attack_that_doubles_every_five_windows_is_warned_of_many_windows_before() {
    let (warned, over) = first(course(1, 80, |at| {
        100.0 * 2.0_f64.powf(at.saturating_sub(20) as f64 / 5.0)
    }));
    let (warned, over) = (warned.unwrap(), over.unwrap());
    assert!(warned + 8 <= over, "warned at {warned}, over at {over}");
    assert!(warned > 20, "not before it began");
}

#[test]
fn what_was_not_measured_begins_anew() {
    let mut trend = Trend::new(Limit {
        per_second: LIMIT,
        horizon_windows: Limit::HORIZON_WINDOWS,
    });
    let mut rate = 1_000.0_f64;
    for at in 0..40 {
        rate *= 1.08;
        // Never twelve in a row.
        let course = trend.observe((at % 12 != 11).then_some(rate.min(LIMIT * 0.99)));
        assert_eq!(course, Course::Calm, "{at}");
    }
    assert_eq!(trend.observe(Some(LIMIT)), Course::Over);
    assert_eq!(trend.observe(Some(f64::NAN)), Course::Calm);
}

#[test]
fn a_warning_ends_with_the_rise() {
    let mut trend = Trend::new(Limit {
        per_second: LIMIT,
        horizon_windows: Limit::HORIZON_WINDOWS,
    });
    let mut last = Course::Calm;
    for at in 0..30 {
        last = trend.observe(Some(1_000.0 * 1.07_f64.powi(at)));
    }
    assert!(
        matches!(last, Course::Warning { windows_to_limit } if windows_to_limit < 12.0),
        "{last:?}"
    );
    for _ in 0..4 {
        last = trend.observe(Some(200.0));
    }
    assert_eq!(last, Course::Calm);
}

/// A level that rises to another one within some windows.
fn deploy(base: f64, factor: f64, at: usize, over: usize) -> impl Fn(usize) -> f64 {
    move |now| {
        let share = (now.saturating_sub(at) as f64 / (over as f64 + 1.0)).min(1.0);
        base * (1.0 + (factor - 1.0) * share)
    }
}

#[test]
fn chance_that_makes_a_flat_half_rise_below_the_limit_is_no_attack() {
    // Each needs one of the two conditions of evenness.
    for (seed, base, factor, at, over) in [
        (8_297_622_922_293_850_254, 2933.77276, 2.78781, 37, 2),
        (
            9_641_023_962_334_800_921,
            2556.532640846922,
            2.342375329293502,
            18,
            3,
        ),
    ] {
        let course = course(seed, 80, deploy(base, factor, at, over));
        assert_eq!(first(course), (None, None), "{seed}");
    }
}

proptest! {
    #[test]
    fn every_attack_that_takes_its_time_is_warned_of(
        seed: u64, calm in 12_usize..40, base in 50.0..800.0_f64, windows in 24_usize..60, is_even: bool,
    ) {
        let target = LIMIT * 1.3;
        let rate = |at: usize| {
            let share = (at.saturating_sub(calm) as f64 / windows as f64).min(1.0);
            if is_even { base + (target - base) * share } else { base * (target / base).powf(share) }
        };
        let (warned, over) = first(course(seed, calm + windows + 5, rate));
        let over = over.unwrap();
        prop_assert!(warned.is_some_and(|warned| warned < over), "warned {:?}, over {}", warned, over);
        prop_assert!(warned.unwrap() >= calm, "warned {:?} before it began at {}", warned, calm);
    }

    #[test]
    fn a_deploy_is_none(
        seed: u64, base in 100.0..3_000.0_f64, factor in 1.2..3.0_f64, at in 12_usize..40, over in 0_usize..4,
    ) {
        // The new level comes at once, or within a few windows.
        prop_assert_eq!(first(course(seed, 80, deploy(base, factor, at, over))), (None, None));
    }

    #[test]
    fn a_scheduled_job_is_none(
        seed: u64, base in 100.0..2_000.0_f64, peak in 2_000.0..9_000.0_f64, period in 8_usize..30, width in 1_usize..4,
    ) {
        let rate = |now: usize| if now % period < width { peak } else { base };
        prop_assert_eq!(first(course(seed, 150, rate)), (None, None));
    }

    #[test]
    fn the_course_of_a_day_is_none(seed: u64, base in 500.0..3_000.0_f64, phase in 0.0..std::f64::consts::TAU) {
        // Minutes as windows: twice as much by day as by night.
        let rate = |now: usize| base * (1.5 + 0.5 * (phase + now as f64 * std::f64::consts::TAU / 1_440.0).sin());
        prop_assert_eq!(first(course(seed, 1_440, rate)), (None, None));
    }
}
