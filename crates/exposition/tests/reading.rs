//! What is read out of texts that are right.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use exposition::{Series, samples, series};

const OPENMETRICS: &str = r#"# HELP seconds_served Time.
# TYPE seconds_served histogram
# UNIT seconds_served seconds
seconds_served_sum{status="200"} 1.5
seconds_served_count{status="200"} 3
seconds_served_bucket{le="0.5",status="200"} 2
seconds_served_bucket{le="+Inf",status="200"} 3
# HELP lost Losses.
# TYPE lost counter
lost_total{reason="full"} 4
lost_created{reason="full"} 1767225600.5
# HELP level Level.
# TYPE level gauge
level -2.5
# HELP target What this is of.
# TYPE target info
target_info{service_name="probed"} 1
# HELP waited Waits.
# TYPE waited summary
waited{quantile="0.5"} 2.0
waited_sum 6.5
waited_count 3
waited_created 1767225600.5
# EOF
"#;

fn lines(text: &str) -> Vec<String> {
    let line = |series: Series| {
        let labels: Vec<String> = series
            .labels
            .iter()
            .map(|(label, value)| format!("{label}={value}"))
            .collect();
        format!("{}{{{}}} {}", series.name, labels.join(","), series.value)
    };
    series(text).unwrap().into_iter().map(line).collect()
}

#[test]
fn every_series_keeps_the_name_of_the_text() {
    insta::assert_snapshot!(lines(OPENMETRICS).join("\n"), @r"
    level{} -2.5
    lost_total{reason=full} 4
    seconds_served_bucket{le=+Inf,status=200} 3
    seconds_served_bucket{le=0.5,status=200} 2
    seconds_served_count{status=200} 3
    seconds_served_sum{status=200} 1.5
    target_info{service_name=probed} 1
    waited{quantile=0.5} 2
    waited_count{} 3
    waited_sum{} 6.5
    ");
}

#[test]
fn prometheus_text_gives_the_same_samples() {
    let prometheus = OPENMETRICS
        .replace("# TYPE lost counter", "# TYPE lost_total counter")
        .replace("# HELP lost ", "# HELP lost_total ")
        .replace("# TYPE target info", "# TYPE target_info gauge")
        .replace("# HELP target ", "# HELP target_info ")
        .replace("# EOF\n", "");
    assert_eq!(samples(&prometheus), samples(OPENMETRICS));
}

#[test]
fn bare_lines_are_enough() {
    assert_eq!(lines("canary_songs_total 41\n"), ["canary_songs_total{} 41"]);
    assert_eq!(lines("b 1\r\n\r\na 2"), ["a{} 2", "b{} 1"]);
    assert_eq!(lines("# TYPE a counter\n# EOF\n"), Vec::<String>::new());
    assert_eq!(lines("# EOF\n"), Vec::<String>::new());
}

#[test]
fn prometheus_text_may_be_padded_and_have_comments() {
    let text = "#comment\n# UNIT of nothing\n#  TYPE\ta  gauge \n\ta { x = \"1\", } \t 2 \n";
    assert_eq!(lines(text), ["a{x=1} 2"]);
}

#[test]
fn times_are_kept_beside_the_values() {
    let text = "# TYPE hits counter\nhits_total{x=\"1\"} 3 1700000000.25\n\
                hits_created{x=\"1\"} 1600000000.5 1700000000.25\n# EOF\n";
    let read = samples(text).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].timestamp_seconds, Some(1_700_000_000.25));
    assert_eq!(read[0].created_seconds, Some(1_600_000_000.5));
    let read = samples("hits 3 1700000000250\n").unwrap();
    assert_eq!(read[0].timestamp_seconds, Some(1_700_000_000.25));
}

#[test]
fn each_series_of_a_histogram_knows_when_it_began() {
    let text = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\nh_created 5\n# EOF\n";
    let created: Vec<_> = samples(text)
        .unwrap()
        .iter()
        .map(|sample| sample.created_seconds)
        .collect();
    assert_eq!(created, [Some(5.0); 3]);
}

#[test]
fn bounds_that_mean_the_same_are_written_the_same() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1e-05\"} 0\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"inf\"} 2\n# EOF\n";
    assert_eq!(
        lines(text),
        [
            "h_bucket{le=+Inf} 2",
            "h_bucket{le=0.00001} 0",
            "h_bucket{le=1} 1"
        ]
    );
}

#[test]
fn label_sets_of_a_family_may_differ_and_interleave() {
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 0\nh_bucket{a=\"x\",le=\"+Inf\"} 1\nh_bucket{le=\"+Inf\"} 2\n# EOF\n";
    assert_eq!(lines(text).len(), 3);
}

#[test]
fn states_and_histograms_of_gauges_are_read() {
    let text = "# TYPE s stateset\ns{s=\"on\"} 1\ns{s=\"off\"} 0\n\
                # TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 2\ng_gcount 2\ng_gsum -1\n# EOF\n";
    assert_eq!(
        lines(text),
        [
            "g_bucket{le=+Inf} 2",
            "g_gcount{} 2",
            "g_gsum{} -1",
            "s{s=off} 0",
            "s{s=on} 1"
        ]
    );
}

#[test]
fn exemplars_are_passed_over() {
    let text = "# TYPE c counter\nc_total 1 1700000000 # {trace=\"a # b\"} 0.5 1700000000.5\n\
                # TYPE h histogram\nh_bucket{le=\"+Inf\"} 2 # {} 1\n# EOF\n";
    assert_eq!(lines(text), ["c_total{} 1", "h_bucket{le=+Inf} 2"]);
}
