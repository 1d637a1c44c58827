//! What readings say of an objective: windows, losses, restarts, silence.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

mod common;

use common::{OPENSLO, Probe, RELIABLY, history, parse};
use slo::{Bound, ClientErrors, Counts, Evaluation, Fires, History, Names, Scrape, Status, evaluate};

/// The published example at the last of these readings: latency, then availability.
fn report(readings: &[(f64, Probe)]) -> [Evaluation; 2] {
    let objectives = parse(RELIABLY);
    let report = evaluate(&objectives, &history(&objectives, readings));
    report.objectives.try_into().unwrap()
}

fn counts(good: u64, bad: u64, unknown: u64) -> Counts {
    Counts { good, bad, unknown }
}

#[test]
fn a_minute_is_a_minute() {
    // One reading each second, ten answers in each; an error in the second that ends at 60.
    let readings: Vec<_> = (0..=125_u32)
        .map(|second| {
            let mut probe = Probe::ok(u64::from(second) * 10);
            probe.failed = u64::from(second >= 60);
            (f64::from(second), probe)
        })
        .collect();
    for (end, errors) in [(60, 1), (119, 1), (120, 0), (125, 0)] {
        let [_, availability] = report(&readings[..=end]);
        assert_eq!(availability.events, counts(600, errors, 0), "until {end}");
        assert_eq!(availability.covered_seconds, 60.0);
    }
    let [_, early] = report(&readings[..=30]);
    assert_eq!((early.events, early.covered_seconds), (counts(300, 0, 0), 30.0));
    assert_eq!(early.notes, ["the readings cover 30s of 1m"]);
}

#[test]
fn the_edge_of_the_target_is_met() {
    let mut probe = Probe::ok(990);
    probe.failed = 10;
    let [_, availability] = report(&[(0.0, Probe::ok(0)), (60.0, probe.clone())]);
    assert_eq!((availability.status, availability.crossed), (Status::Met, None));
    let left = availability.budget.unwrap().left_percent;
    assert!(left.lo.abs() < 1e-9 && left.lo == left.hi, "{left:?}");
    probe.failed = 11;
    let [_, availability] = report(&[(0.0, Probe::ok(0)), (60.0, probe)]);
    assert_eq!(
        (availability.status, availability.crossed),
        (Status::Missed, Some(Bound::Hi))
    );
    assert!(availability.budget.unwrap().left_percent.hi < 0.0);
}

#[test]
fn losses_widen_the_interval_and_the_crossing_bound_is_named() {
    let mut probe = Probe::ok(995);
    probe.failed = 5;
    // Events nobody saw the end of, and hits that may have been events; other probes' losses do not matter.
    probe.unknown = 2;
    probe.lost = 8;
    let [latency, availability] = report(&[(0.0, Probe::ok(0)), (60.0, probe)]);
    assert_eq!(availability.events, counts(995, 5, 10));
    assert_eq!(
        (availability.status, availability.crossed),
        (Status::Undecided, Some(Bound::Lo))
    );
    let good = availability.good_percent.unwrap();
    assert!(good.lo < 99.0 && good.hi > 99.0, "{good:?}");
    assert_eq!(
        (latency.status, latency.crossed),
        (Status::Undecided, Some(Bound::Lo))
    );
    let last = availability.burn.last().unwrap();
    assert_eq!((last.long_window.as_str(), last.fires), ("1m", Fires::Possibly));
}

#[test]
fn a_server_that_hangs_up_is_bad_and_a_client_that_does_is_unknown() {
    let mut probe = Probe::ok(100);
    probe.aborted_by_server = 3;
    let [latency, availability] = report(&[(0.0, Probe::ok(0)), (60.0, probe)]);
    assert_eq!(availability.events, counts(100, 3, 0));
    assert_eq!(latency.events, counts(100, 0, 0));
}

#[test]
fn whose_mistake_a_4xx_is_can_be_said() {
    let text = |count| {
        let series = "http_server_request_duration_seconds_count{http_response_status_code=";
        let answers: String = [200, 404, 301]
            .map(|status| format!("{series}\"{status}\"}} {count}\n"))
            .concat();
        format!("{answers}# TYPE probelab_attached gauge\nprobelab_attached{{probe=\"http\"}} 1\n# EOF\n")
    };
    for (client_errors, events) in [
        (ClientErrors::Bad, counts(20, 10, 0)),
        (ClientErrors::Good, counts(30, 0, 0)),
        (ClientErrors::Excluded, counts(20, 0, 0)),
    ] {
        let objectives = slo::parse(RELIABLY, client_errors).unwrap();
        let names = Names::of(&objectives);
        let mut history = History::new(60_000, 1);
        for (count, time_ms) in [(0, 0), (10, 60_000)] {
            history.push(Scrape::read(&text(count), time_ms, &names).unwrap());
        }
        assert_eq!(
            evaluate(&objectives, &history).objectives[1].events,
            events,
            "{client_errors:?}"
        );
    }
}

#[test]
fn values_above_a_bound_may_be_the_good_ones() {
    let objectives = parse(&OPENSLO.replace("op: lte", "op: gt"));
    let probe = Probe {
        ok: [90, 4, 3, 2],
        ..Probe::ok(0)
    };
    let report = evaluate(
        &objectives,
        &history(&objectives, &[(0.0, Probe::ok(0)), (3600.0, probe)]),
    );
    assert_eq!(report.objectives[2].events, counts(5, 94, 0));
}

#[test]
fn a_target_that_is_no_bound_leaves_its_bucket_unknown() {
    let mut probe = Probe {
        ok: [90, 4, 3, 2],
        ..Probe::ok(0)
    };
    let [latency, _] = report(&[(0.0, Probe::ok(0)), (60.0, probe.clone())]);
    assert_eq!(latency.events, counts(94, 5, 0));
    probe.has_bound = false;
    let [latency, _] = report(&[(0.0, Probe::ok(0)), (60.0, probe)]);
    assert_eq!(latency.events, counts(90, 2, 7));
    assert!(
        latency.notes[0].contains("`bucketBoundsSeconds: [0.15]`"),
        "{:?}",
        latency.notes
    );
}

#[test]
fn a_restart_counts_from_zero() {
    let mut before = Probe::ok(1000);
    before.failed = 4;
    let mut after = Probe::ok(20);
    after.failed = 1;
    // Past the old value of one counter already: the other one tells.
    let mut later = Probe::ok(1500);
    later.failed = 3;
    let [_, availability] = report(&[
        (0.0, before.clone()),
        (20.0, before.clone()),
        (30.0, after),
        (60.0, later.clone()),
    ]);
    assert_eq!(availability.events, counts(1500, 3, 0));
    assert!(
        availability.notes[0].contains("started again once"),
        "{:?}",
        availability.notes
    );
    let [_, availability] = report(&[(0.0, before), (60.0, later)]);
    assert_eq!(availability.events, counts(1500, 3, 0));
}

#[test]
fn silence_is_told_from_quiet() {
    let quiet = Probe::ok(50);
    let [_, availability] = report(&[(0.0, quiet.clone()), (60.0, quiet.clone())]);
    assert_eq!(
        (availability.status, availability.good_percent),
        (Status::NoTraffic, None)
    );
    assert!(
        availability
            .burn
            .iter()
            .all(|burn| burn.fires != Fires::Certainly)
    );
    let gone = Probe {
        is_gone: true,
        ..quiet.clone()
    };
    let [_, availability] = report(&[(0.0, quiet.clone()), (60.0, gone)]);
    assert_eq!(availability.status, Status::Unobserved);
    let [_, availability] = report(&[(0.0, quiet)]);
    assert_eq!(availability.status, Status::Unobserved);
    assert_eq!(
        availability.notes,
        ["there are not two readings in the window yet"]
    );
}

#[test]
fn slices_of_time_are_judged_one_by_one() {
    let objectives = parse(OPENSLO);
    // An hour of minutes: in each 100 answers; ten minutes with 10 slow ones, and one with one that was lost track of.
    let mut probe = Probe::ok(0);
    let mut readings = vec![(0.0, probe.clone())];
    for minute in 1..=60_u32 {
        let slow = if minute <= 10 { 10 } else { 0 };
        probe.ok[0] += 100 - slow;
        probe.ok[3] += slow;
        if minute == 30 {
            probe.unknown += 20;
        }
        readings.push((f64::from(minute) * 60.0, probe.clone()));
    }
    let report = evaluate(&objectives, &history(&objectives, &readings));
    let minutes = &report.objectives[2];
    assert_eq!(minutes.budgeted, counts(49, 10, 1));
    assert_eq!(
        (minutes.status, minutes.crossed),
        (Status::Missed, Some(Bound::Hi))
    );
    assert_eq!(minutes.events, counts(5900, 100, 20));
    // Each minute weighs the same here: 59 perfect ones and one of 100 good and 20 unknown.
    let ratios = report.objectives[3].good_percent.unwrap();
    assert!(
        (ratios.lo - (59.0 + 100.0 / 120.0) / 60.0 * 100.0).abs() < 1e-9,
        "{ratios:?}"
    );
    assert_eq!(ratios.hi, 100.0);
}

#[test]
fn a_burn_needs_both_of_its_windows() {
    let mut probe = Probe::ok(0);
    let mut readings = Vec::new();
    for tick in 0..=1200_u32 {
        let second = f64::from(tick) / 10.0;
        probe.ok[0] += 1;
        // Half of all answers fail from 100 s to 112 s.
        if (1000..1120).contains(&tick) {
            probe.failed += 1;
        }
        readings.push((second, probe.clone()));
    }
    let fires = |until: usize| {
        let [_, availability] = report(&readings[..=until]);
        availability
            .burn
            .iter()
            .map(|burn| burn.fires)
            .collect::<Vec<_>>()
    };
    // Times below a tenth of a second have no reading inside.
    assert_eq!(
        fires(1110),
        [
            Fires::Unmeasured,
            Fires::Unmeasured,
            Fires::Certainly,
            Fires::Certainly,
            Fires::Certainly
        ]
    );
    // Over, in the short window; the budget is spent all the same.
    assert_eq!(
        fires(1130),
        [
            Fires::Unmeasured,
            Fires::Unmeasured,
            Fires::No,
            Fires::No,
            Fires::Certainly
        ]
    );
}

#[test]
fn what_no_objective_needs_is_not_read_and_what_is_no_metric_is_an_error() {
    let objectives = parse(RELIABLY);
    let names = Names::of(&objectives);
    // Two label sets in one family, and a family without a sample: both are legal, and nothing here needs them.
    let others =
        "# HELP other Others.\n# TYPE other gauge\nother{a=\"1\"} 1\nother{b=\"1\"} 2\n# TYPE none counter\n";
    let text = Probe::ok(3).text();
    let with = format!("{others}{text}");
    assert_eq!(Scrape::read(&with, 1, &names), Scrape::read(&text, 1, &names));
    assert!(Scrape::read(&with, 1, &names).unwrap() != Scrape::read("# EOF\n", 1, &names).unwrap());
    for text in [
        "",
        "no metrics\n",
        "<html>\n</html>\n",
        "HTTP/1.1 500 Internal Server Error\n# EOF\n",
    ] {
        assert!(Scrape::read(text, 1, &names).is_err(), "{text:?}");
    }
}
