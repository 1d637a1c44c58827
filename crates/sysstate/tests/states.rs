//! Learning and classifying: what is known is told apart, what is not is unknown, and the awkward cases.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::LazyLock;

use common::{FAULTS, Numbers, QUIET, faulty, quiet, training, window};
use proptest::prelude::*;
use sysstate::{
    Classified, Drift, Label, LearnError, Model, Options, State, Verdict, Worth, adjusted_rand_index, learn,
    partition,
};

fn model() -> &'static Model {
    static MODEL: LazyLock<Model> = LazyLock::new(|| learn(&training(1), Options::default()).unwrap().model);
    &MODEL
}

fn classified(verdict: Verdict) -> Classified {
    match verdict {
        Verdict::Measured(classified) => classified,
        Verdict::Missing(feature) => panic!("{} was measured", feature.name),
    }
}

#[test]
fn faults_are_told_apart_in_windows_that_were_not_learnt() {
    let model = model();
    let mut numbers = Numbers(99);
    let mut pairs = Vec::new();
    for at in 0..40 {
        let classified = classified(model.classify(&quiet(at, &mut numbers)));
        assert_eq!(classified.state, State::Good, "{classified:?}");
        pairs.push(("good", classified.cluster));
    }
    for fault in FAULTS {
        for at in 0..10 {
            let classified = classified(model.classify(&faulty(at, fault, &mut numbers)));
            assert_eq!(classified.state, State::Bad, "{fault:?}: {classified:?}");
            assert_eq!(
                classified.movers[0].feature.name,
                sysstate::FEATURES[fault.1].name
            );
            pairs.push((fault.0, classified.cluster));
        }
    }
    assert_eq!(adjusted_rand_index(&pairs), 1.0);
}

#[test]
fn what_was_never_seen_is_unknown_and_the_feature_is_named() {
    let mut values = QUIET;
    values[3] = 5_000.0;
    let classified = classified(model().classify(&window(0, values)));
    assert_eq!(classified.state, State::Unknown);
    assert!(classified.distance_ratio > 1.0);
    assert_eq!(classified.movers[0].feature.name, "drops_per_second");
    assert!(classified.movers[0].share > 0.9);
    assert_eq!(classified.movers[0].value, 5_000.0);
    let shares: f64 = classified.movers.iter().map(|mover| mover.share).sum();
    assert!((shares - 1.0).abs() < 1e-12);
}

#[test]
fn a_feature_that_was_constant_is_not_forgotten() {
    // `http_errors_per_second` is 0 in all of these.
    let windows: Vec<_> = training(1)
        .into_iter()
        .filter(|(_, label)| label.name != "http-errors")
        .map(|(mut window, label)| {
            window.values[6] = Some(0.0);
            (window, label)
        })
        .collect();
    let model = learn(&windows, Options::default()).unwrap().model;
    assert_eq!(model.classify(&window(0, QUIET)).state(), State::Good);
    let mut values = QUIET;
    values[6] = 30.0;
    assert_eq!(model.classify(&window(0, values)).state(), State::Unknown);
    // One response in ten seconds that failed is no other state of the system.
    values[6] = 0.1;
    assert_eq!(model.classify(&window(0, values)).state(), State::Good);
}

#[test]
fn a_window_that_lacks_a_feature_is_unknown_and_not_learnt() {
    let mut windows = training(1);
    windows[3].0.values[4] = None;
    let learned = learn(&windows, Options::default()).unwrap();
    assert_eq!((learned.windows, learned.incomplete), (59, 1));
    match learned.model.classify(&windows[3].0) {
        Verdict::Missing(feature) => assert_eq!(feature.name, "runq_p99_seconds"),
        measured => panic!("{measured:?}"),
    }
}

#[test]
fn a_feature_that_nobody_measured_is_not_in_the_model() {
    let mut windows = training(1);
    for (window, _) in &mut windows {
        window.values[5] = None;
    }
    let learned = learn(&windows, Options::default()).unwrap();
    assert_eq!(learned.unmeasured, ["connect_p99_seconds"]);
    let mut live = window(0, QUIET);
    assert_eq!(learned.model.classify(&live).state(), State::Good);
    live.values[5] = None;
    assert_eq!(learned.model.classify(&live).state(), State::Good);
}

#[test]
fn nothing_to_learn_from_is_an_error_with_its_reason() {
    let error = |windows: &[_]| learn(windows, Options::default()).unwrap_err();
    assert!(matches!(error(&[]), LearnError::NoWindows));
    let mut blind = training(1);
    for (window, _) in &mut blind {
        window.values = Default::default();
    }
    assert!(matches!(error(&blind), LearnError::NoFeatures));
    let mut alternating = training(1);
    for (at, (window, _)) in alternating.iter_mut().enumerate() {
        window.values[at % 2] = None;
    }
    assert!(matches!(error(&alternating), LearnError::AllIncomplete(60)));
}

#[test]
fn more_clusters_than_different_windows_are_as_many_as_there_are() {
    let windows: Vec<_> = (0..9)
        .map(|at| {
            let mut values = QUIET;
            values[0] = [1.0, 100.0, 900.0][at % 3];
            (window(at, values), Label::of(Worth::Good))
        })
        .collect();
    let model = learn(&windows, Options { clusters: Some(8) }).unwrap().model;
    assert_eq!(
        model.clusters.iter().map(|of| of.windows).collect::<Vec<_>>(),
        [3, 3, 3]
    );
    let one = learn(&windows[..1], Options { clusters: Some(5) }).unwrap().model;
    assert_eq!(one.clusters.len(), 1);
    assert_eq!(one.classify(&windows[0].0).state(), State::Good);
}

#[test]
fn scaling_makes_units_not_matter() {
    // The same windows with waits in nanoseconds: values 1e9 times as large, roots in proportion.
    let seconds: Vec<Vec<f64>> = training(1)
        .iter()
        .map(|(window, _)| vec![window.values[0].unwrap(), window.values[4].unwrap()])
        .collect();
    let scaled = |factor: f64| {
        let scale = |column: usize, factor: f64| {
            let values: Vec<f64> = seconds.iter().map(|row| (row[column] * factor).sqrt()).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let deviation =
                (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            values
                .into_iter()
                .map(|value| (value - mean) / deviation)
                .collect::<Vec<f64>>()
        };
        let (one, two) = (scale(0, 1.0), scale(1, factor));
        one.into_iter()
            .zip(two)
            .map(|(one, two)| vec![one, two])
            .collect::<Vec<_>>()
    };
    let of = |factor| partition(&scaled(factor), 3).unwrap().of_point;
    assert_eq!(of(1.0), of(1e9));
    // Without scaling the larger numbers decide alone.
    assert_ne!(partition(&seconds, 3).unwrap().of_point, of(1.0));
}

#[test]
fn a_system_that_moved_on_is_noticed() {
    let model = model();
    let (mut numbers, mut drift) = (Numbers(5), Drift::default());
    for at in 0..60 {
        drift.observe(&model.classify(&quiet(at, &mut numbers)));
    }
    assert!(!drift.has_drifted());
    // One hour of an odd state is a state; it is only called drift once it is what is usual.
    let mut moved = QUIET;
    moved[2] = 40_000.0;
    let mut noticed = None;
    for at in 0..60 {
        drift.observe(&model.classify(&window(at, moved)));
        noticed = noticed.or(drift.has_drifted().then_some(at));
    }
    // The thirtieth of sixty.
    assert_eq!(noticed, Some(29));
}

#[test]
fn a_file_says_all_of_a_model() {
    let model = model();
    let read = Model::from_toml(&model.to_toml()).unwrap();
    assert_eq!(&read, model);
}

#[test]
fn a_file_that_is_no_model_says_where_and_why() {
    let text = model().to_toml();
    let error = |from: &str, to: &str| {
        let text = text.replacen(from, to, 1);
        Model::from_toml(&text).unwrap_err().to_string()
    };
    insta::assert_snapshot!(error("version = 1", "version = 2"), @"`version` is 2; this program knows version 1: learn again");
    insta::assert_snapshot!(error("execs_per_second", "exec_per_second"), @"there is no feature `exec_per_second`");
    insta::assert_snapshot!(error("scale = ", "scale = -"), @"feature `execs_per_second`: `centre` is a number and `scale` one above 0");
    insta::assert_snapshot!(error("radius = ", "radius = -"), @"cluster `good`: `radius` is a number above 0");
    insta::assert_snapshot!(error("state = \"good\"", "state = \"fine\""), @r#"
    TOML parse error at line 43, column 9
       |
    43 | state = "fine"
       |         ^^^^^^
    unknown variant `fine`, expected `good` or `bad`
    "#);
    insta::assert_snapshot!(error("opens_per_second", "execs_per_second"), @"feature `execs_per_second` is there twice");
}

/// Points on a small grid, so that many are equal.
fn points() -> impl Strategy<Value = Vec<Vec<f64>>> {
    let point = proptest::collection::vec((-4..4_i32).prop_map(f64::from), 2);
    proptest::collection::vec(point, 1..40)
}

proptest! {
    #[test]
    fn every_cluster_has_points_and_its_centre_is_their_mean(
        points in points(), count in 1_usize..12,
    ) {
        let found = partition(&points, count).unwrap();
        let mut distinct = points.clone();
        distinct.sort_by(|one, other| one.partial_cmp(other).unwrap());
        distinct.dedup();
        prop_assert!(found.centres.len() <= count.min(distinct.len()));
        for cluster in 0..found.centres.len() {
            let members: Vec<&Vec<f64>> =
                points.iter().zip(&found.of_point).filter(|(_, of)| **of == cluster).map(|(point, _)| point).collect();
            prop_assert!(!members.is_empty(), "no cluster is empty");
            for axis in 0..2 {
                let mean = members.iter().map(|point| point[axis]).sum::<f64>() / members.len() as f64;
                prop_assert!((mean - found.centres[cluster][axis]).abs() < 1e-12);
            }
        }
        // Equal points are together.
        for (one, of_one) in points.iter().zip(&found.of_point) {
            for (other, of_other) in points.iter().zip(&found.of_point) {
                prop_assert!(one != other || of_one == of_other);
            }
        }
    }

    #[test]
    fn clusters_do_not_change_places_with_the_order_of_points(points in points(), count in 1_usize..6, seed: u64) {
        let found = partition(&points, count).unwrap();
        let mut order: Vec<usize> = (0..points.len()).collect();
        let mut numbers = Numbers(seed);
        for at in (1..order.len()).rev() {
            order.swap(at, (numbers.next() * (at + 1) as f64) as usize);
        }
        let shuffled: Vec<Vec<f64>> = order.iter().map(|at| points[*at].clone()).collect();
        let again = partition(&shuffled, count).unwrap();
        prop_assert_eq!(&again.centres, &found.centres);
        for (at, old) in order.iter().enumerate() {
            prop_assert_eq!(again.of_point[at], found.of_point[*old]);
        }
    }

    #[test]
    fn no_window_makes_it_panic(values in proptest::array::uniform7(proptest::option::of(proptest::num::f64::ANY))) {
        let mut live = window(0, QUIET);
        live.values = values.map(|value| value.filter(|value| value.is_finite()));
        let verdict = model().classify(&live);
        if let Verdict::Measured(classified) = verdict {
            prop_assert!(classified.distance_ratio >= 0.0);
        }
    }
}
