//! What is read, what is refused and why, and that all that is written is read back.

use super::*;
use proptest::prelude::*;

fn series(labels: &[(&str, &str)]) -> Key {
    let labels = labels
        .iter()
        .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
    Key {
        name: "hits_total".to_owned(),
        labels: labels.collect(),
    }
}

#[test]
fn labels_are_matched_as_prometheus_does() {
    let selector =
        Selector::parse(r#"sum(rate(hits_total{code=~"2..|3..",zone!="",by!~"a.*"}[5m]))"#).unwrap();
    assert!(selector.matches(&series(&[("code", "204"), ("zone", "x")])));
    assert!(!selector.matches(&series(&[("code", "2041"), ("zone", "x")])));
    assert!(!selector.matches(&series(&[("code", "204")])));
    assert!(!selector.matches(&series(&[("code", "204"), ("zone", "x"), ("by", "abc")])));
    assert_eq!(
        selector.to_string(),
        r#"hits_total{code=~"2..|3..",zone!="",by!~"a.*"}"#
    );
    assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
}

#[test]
fn a_selector_is_found_in_what_surrounds_it() {
    for query in [
        r#"hits_total{code="200"}"#,
        r#" hits_total { code = "200" , } "#,
        r#"((hits_total{code='200'}))"#,
        "sum(hits_total{code=`200`})",
        "SUM((sum(hits_total{code=\"\\x32\\060\\u0030\"})))",
        "rate(hits_total{code=\"200\"}[5m])",
        "sum(rate(\n  hits_total{\n    code=\"200\", # the good ones\n  }[ 1h30m\t]\n)) # in all",
        "sum((increase((hits_total{code=\"200\"}[300]))))",
        r#"{__name__="hits_total",code="200"}"#,
        r#"{"hits_total","code"="200"}"#,
    ] {
        let selector = Selector::parse(query).unwrap();
        assert_eq!(selector.to_string(), r#"hits_total{code="200"}"#, "{query}");
    }
    for query in [
        "hits_total",
        "hits_total{}",
        "sum:hits_total",
        "by",
        r#"{"inf",a="b"}"#,
        r#"a{"b.c"="d"}"#,
    ] {
        let written = Selector::parse(query).unwrap().to_string();
        assert_eq!(written, query.trim_end_matches("{}"));
    }
}

#[test]
fn what_only_a_server_can_answer_is_refused() {
    for (query, word) in [
        ("a_total / b_total", "cannot be measured"),
        ("sum by (x) (a_total)", "cannot be measured"),
        ("sum(a_total) by (x)", "cannot be measured"),
        ("a_total offset 5m", "cannot be measured"),
        ("a_total @ 1e-3", "cannot be measured"),
        ("a_total[5m]", "cannot be measured"),
        ("rate(a_total[1h:5m])", "cannot be measured"),
        ("rate(a_total[5m] OFFSET 1d)", "cannot be measured"),
        ("(rate(a_total[5m]))[1h:]", "cannot be measured"),
        ("sum(a_total) == bool 0x1F", "cannot be measured"),
        ("-a_total", "cannot be measured"),
        ("1 - a_total", "cannot be measured"),
        ("inf", "cannot be measured"),
        ("\"text\"", "cannot be measured"),
        ("histogram_quantile(0.9, a_bucket)", "cannot be measured"),
        (
            "{__name__=\"a_total\",__name__!=\"b_total\"}",
            "cannot be measured",
        ),
        ("{code=\"2\"}", "names no metric"),
        ("{}", "names no metric"),
        ("{\"\"}", "names no metric"),
        ("{__name__=~\"a.*\"}", "names no metric"),
        ("sum(a_total", "is no query"),
        ("a_seconds_total", "something else than events"),
    ] {
        let error = Selector::parse(query).unwrap_err();
        assert!(error.contains(word), "{query}: {error}");
    }
}

#[test]
fn what_is_no_query_is_told_with_its_place() {
    for (query, place, reason) in [
        ("", "column 1", "a metric"),
        ("sum()", "column 5", "a metric"),
        ("sum(a_total", "column 12", "expected `)`"),
        ("a_total)", "column 8", "a bracket that `)` closes"),
        ("rate(a_total[5m)", "column 16", "expected `]`, not `)`"),
        ("rate(a_total[5m]", "column 17", "expected `)`"),
        ("rate(a_total[])", "column 14", "a duration"),
        ("rate(a_total[0s])", "column 14", "a duration longer"),
        ("rate(a_total[5x])", "column 14", "a duration, not `5x`"),
        ("rate(a_total[5m1h])", "column 14", "a duration, not `5m1h`"),
        ("rate(a_total)", "column 13", "a range"),
        ("sum(a_total[5m])", "column 16", "rate()"),
        ("a_total b_total", "column 9", "the end"),
        ("sum(a_total, b_total)", "column 12", "expected `)`"),
        ("a_total{x=\"1\"", "column 14", "`,` or `}`"),
        ("a_total{", "column 9", "the name of a label"),
        ("a_total{,}", "column 9", "the name of a label"),
        ("a_total{x}", "column 10", "`=`, `!=`"),
        ("a_total{x==\"1\"}", "column 11", "in quotes"),
        ("a_total{x=1}", "column 11", "in quotes"),
        ("a_total{x=\"1\" y=\"2\"}", "column 15", "`,` or `}`"),
        ("a_total{x=\"1}", "column 11", "ends with"),
        ("a_total{x=\"\\q\"}", "column 12", "escapes"),
        ("a_total{x=~\"(\"}", "column 12", "no regular expression"),
        (
            "b_total / a_total{x=~\"a)|(b\"}",
            "column 22",
            "no regular expression",
        ),
        ("a_total{__name__=\"b_total\"}", "column 8", "only once"),
        ("{\"a\",\"b\"}", "column 6", "only once"),
        ("a_total & b_total", "column 9", "not '&'"),
        ("größe_total", "column 3", "not 'ö'"),
        ("a_total{ö=\"1\"}", "column 9", "the name of a label"),
        (
            "sum(\n  a_total{ü=\"1\"}\n)",
            "line 2, column 11",
            "the name of a label",
        ),
    ] {
        let error = Selector::parse(query).unwrap_err();
        let place = format!("is no query: {place}: ");
        assert!(
            error.contains(&place) && error.contains(reason),
            "{query}: {error}"
        );
    }
}

#[test]
fn no_depth_of_brackets_is_too_much() {
    const DEPTH: usize = 100_000;
    let query = |closed| format!("{}a_total{}", "(".repeat(DEPTH), ")".repeat(closed));
    assert!(Selector::parse(&query(DEPTH)).is_ok());
    assert!(Selector::parse(&query(DEPTH - 1)).is_err());
}

#[test]
fn only_labels_that_must_be_equal_tell_series_apart() {
    let overlap = |one: &str, other: &str| {
        let (one, other) = (Selector::parse(one).unwrap(), Selector::parse(other).unwrap());
        assert_eq!(one.overlaps(&other), other.overlaps(&one));
        one.overlaps(&other)
    };
    assert!(overlap("a", "a{x=\"1\"}"));
    assert!(!overlap("a", "b"));
    assert!(!overlap("a{x=\"1\"}", "a{x=\"2\"}"));
    assert!(!overlap("a{x=\"1\"}", "a{x!~\"1|2\"}"));
    assert!(overlap("a{x=~\"1\"}", "a{x=~\"2\"}"));
}

fn test() -> impl Strategy<Value = Test> {
    let pattern = || any::<String>().prop_map(|text| Pattern::new(&regex::escape(&text)).unwrap());
    prop_oneof![
        any::<String>().prop_map(Test::Equal),
        any::<String>().prop_map(Test::NotEqual),
        pattern().prop_map(Test::Like),
        pattern().prop_map(Test::Unlike),
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    // Names that need quotes, and some that only look as if they did.
    let name = || {
        prop_oneof![
            "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}",
            "sum|rate|by|inf|NaN|offset",
            "\\PC{1,8}"
        ]
    };
    let is_of_events = |name: &String| !name.ends_with("_sum") && !name.ends_with("_seconds_total");
    let label = name().prop_filter("the metric's name", |label| label != labels::NAME);
    let matcher = (label, test()).prop_map(|(label, test)| Matcher { label, test });
    let matchers = prop::collection::vec(matcher, 0..4);
    (name().prop_filter("no count", is_of_events), matchers)
        .prop_map(|(name, matchers)| Selector { name, matchers })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(selector in selector()) {
        let written = selector.to_string();
        prop_assert_eq!(Selector::parse(&written), Ok(selector.clone()));
        let around = format!("sum ( rate({written} [ 5m ] )) # {}", selector.name);
        prop_assert_eq!(Selector::parse(&around), Ok(selector));
    }

    #[test]
    fn a_value_selects_itself(value: String) {
        let selector = Selector::named("hits_total").having("x", &value);
        let read = Selector::parse(&selector.to_string()).unwrap();
        prop_assert!(read.matches(&series(&[("x", &value)])));
        let pattern = Selector::named("hits_total").matching_label("x", &regex::escape(&value));
        let read = Selector::parse(&pattern.to_string()).unwrap();
        prop_assert!(read.matches(&series(&[("x", &value)])));
    }

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = Selector::parse(&text);
    }

    #[test]
    fn so_is_what_resembles_a_query(
        words in prop::collection::vec(prop_oneof![
            "sum|rate|by|offset|a_total|__name__|[a-z:]{1,3}",
            "[(){}\\[\\],=~!<>:@#+*/ \n-]",
            "[0-9.exms]{1,4}",
            "[\"'`](\\\\?[a-zUx0-9ö\"'{}()*?|\\[-]){0,6}[\"'`]",
        ], 0..12),
    ) {
        let _ = Selector::parse(&words.concat());
    }
}
