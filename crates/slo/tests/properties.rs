//! What holds for any traffic, loss and restart.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

mod common;

use common::{Probe, RELIABLY, history, parse};
use proptest::prelude::*;
use slo::{Counts, History, Names, evaluate};

/// What happened in one step: good and bad answers, how many of each nobody saw, and whether the probe began anew.
#[derive(Debug, Clone)]
struct Step {
    good: u64,
    bad: u64,
    good_unseen: u64,
    bad_unseen: u64,
    is_loss: bool,
    hits_without_event: u64,
    restarts: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (
        0..50_u64,
        0..10_u64,
        0..4_u64,
        0..4_u64,
        any::<bool>(),
        0..3_u64,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(good, bad, good_unseen, bad_unseen, is_loss, hits_without_event, restarts)| Step {
                good,
                bad,
                good_unseen,
                bad_unseen,
                is_loss,
                hits_without_event,
                restarts,
            },
        )
}

/// Readings a second apart, and what they stand for.
fn readings(steps: &[Step]) -> Vec<(f64, Probe)> {
    let mut probe = Probe::ok(0);
    let mut readings = vec![(0.0, probe.clone())];
    for (number, step) in (1_u32..).zip(steps) {
        if step.restarts {
            probe = Probe::ok(0);
        }
        probe.ok[0] += step.good;
        probe.failed += step.bad;
        let unseen = step.good_unseen + step.bad_unseen;
        if step.is_loss {
            probe.lost += unseen + step.hits_without_event;
        } else {
            probe.unknown += unseen;
        }
        readings.push((f64::from(number), probe.clone()));
    }
    readings
}

fn availability(readings: &[(f64, Probe)]) -> slo::Evaluation {
    let objectives = parse(RELIABLY);
    evaluate(&objectives, &history(&objectives, readings))
        .objectives
        .remove(1)
}

proptest! {
    // Each case reads up to sixty expositions, which is what takes long.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_interval_contains_the_truth(steps in prop::collection::vec(step(), 1..59)) {
        // A restart that no counter shows to fall, because there was nothing or more than before at once, is another
        // matter: `a_start_time_tells_what_values_hide`.
        let steps: Vec<Step> = steps.into_iter().map(|step| Step { restarts: false, ..step }).collect();
        let evaluation = availability(&readings(&steps));
        let good: u64 = steps.iter().map(|step| step.good + step.good_unseen).sum();
        let bad: u64 = steps.iter().map(|step| step.bad + step.bad_unseen).sum();
        if good + bad > 0 {
            let truth = good as f64 / (good + bad) as f64 * 100.0;
            let interval = evaluation.good_percent.unwrap();
            prop_assert!(interval.lo <= truth + 1e-9 && truth <= interval.hi + 1e-9, "{truth} {interval:?}");
            let used = evaluation.budget.unwrap().used_percent;
            prop_assert!(used.lo <= (100.0 - truth) / 0.01 + 1e-6 && (100.0 - truth) / 0.01 <= used.hi + 1e-6);
        }
        // Nothing but losses makes it wider.
        prop_assert_eq!(evaluation.events.good, steps.iter().map(|step| step.good).sum::<u64>());
        prop_assert_eq!(evaluation.events.bad, steps.iter().map(|step| step.bad).sum::<u64>());
    }

    #[test]
    fn windows_side_by_side_add_up(steps in prop::collection::vec(step(), 2..59), cut in any::<prop::sample::Index>()) {
        let all = readings(&steps);
        let cut = cut.index(steps.len() - 1) + 1;
        let sum: Counts = [&all[..=cut], &all[cut..]].map(|part| availability(part).events).into_iter().sum();
        prop_assert_eq!(sum, availability(&all).events);
    }

    #[test]
    fn a_restart_adds_and_never_takes_away(steps in prop::collection::vec(step(), 1..59)) {
        // With an answer of each kind in each step, a counter that begins anew is always seen to.
        let steps: Vec<Step> = steps.into_iter().map(|step| Step { good: 7, bad: 1, ..step }).collect();
        let events = availability(&readings(&steps)).events;
        let hidden = steps.windows(2).filter(|pair| pair[1].restarts && pair[0].restarts).count();
        prop_assume!(hidden == 0 && !steps[0].restarts && !steps.get(1).is_some_and(|step| step.restarts));
        prop_assert_eq!((events.good, events.bad), (7 * steps.len() as u64, steps.len() as u64));
    }

    #[test]
    fn a_recording_says_the_same(steps in prop::collection::vec(step(), 1..59)) {
        let objectives = parse(RELIABLY);
        let kept = history(&objectives, &readings(&steps));
        let again = History::read(&kept.to_text(), 3_600_000, 1, &Names::of(&objectives)).unwrap();
        prop_assert_eq!(evaluate(&objectives, &again), evaluate(&objectives, &kept));
    }

}

proptest! {
    #[test]
    fn no_text_panics(text in "(apiVersion: (reliably.com/v1|openslo/v1)\n)?(kind: (Objective|SLO|SLI)\n)?.{0,200}") {
        let _ = slo::parse(&text, slo::ClientErrors::default());
        let _ = History::read(&text, 1000, 1, &Names::default());
    }

    #[test]
    fn no_cut_or_changed_file_panics(cut in 0..3000_usize, with in "[ -~\n]{0,12}") {
        for file in [RELIABLY, common::OPENSLO] {
            let at = cut.min(file.len());
            let text = format!("{}{with}{}", &file[..at], &file[(at + 3).min(file.len())..]);
            let _ = slo::parse(&text, slo::ClientErrors::default());
        }
    }
}

#[test]
fn old_readings_are_thinned_out_and_the_window_stays() {
    let objectives = parse(RELIABLY);
    let names = Names::of(&objectives);
    let day_ms = 86_400_000;
    let mut history = History::new(30 * day_ms, 1000);
    let text = Probe::ok(1).text();
    for minute in 0..(31 * 24 * 60_i64) {
        // The time is all that matters here, and reading the text is what takes long.
        if minute % 15 == 0 || minute > 31 * 24 * 60 - 300 {
            history.push(slo::Scrape::read(&text, minute * 60_000, &names).unwrap());
        }
    }
    let times: Vec<i64> = history.scrapes().iter().map(|scrape| scrape.time_ms).collect();
    assert!(times.len() < 1000, "{}", times.len());
    let (first, last) = (times[0], times[times.len() - 1]);
    assert!(last - first >= 30 * day_ms, "{first} {last}");
    for pair in times.windows(2) {
        let age = last - pair[0];
        assert!(pair[1] - pair[0] <= (age / 64).max(15 * 60_000), "{pair:?}");
    }
}

#[test]
fn a_start_time_tells_what_values_hide() {
    let objectives = parse(RELIABLY);
    let names = Names::of(&objectives);
    let mut history = History::new(60_000, 1);
    for (second, started, count) in [(0, 1000, 10), (60, 1030, 15)] {
        let probe = Probe::ok(count).text();
        let start =
            format!("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {started}\n# EOF\n");
        let text = probe.replace("# EOF\n", &start);
        history.push(slo::Scrape::read(&text, second * 1000, &names).unwrap());
    }
    let report = evaluate(&objectives, &history);
    assert_eq!(report.objectives[1].events.good, 15);
}
