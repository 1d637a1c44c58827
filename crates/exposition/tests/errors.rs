//! Each way in which a text can be wrong, with the message for it.

/// The messages of some texts, each of which must be an error.
fn messages(texts: &[&str]) -> String {
    let message = |text: &&str| match exposition::samples(text) {
        Ok(read) => panic!("{text:?} was read: {read:?}"),
        Err(error) => error.to_string(),
    };
    texts.iter().map(message).collect::<Vec<_>>().join("\n")
}

/// The same for OpenMetrics texts without their ends.
fn openmetrics(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text}\n# EOF\n")).collect();
    messages(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn words_and_silence() {
    insta::assert_snapshot!(messages(&[
        "",
        " \n\n",
        "words of no metric\n",
        "HTTP/1.1 500 Internal Server Error\n",
        "# EOF\nHTTP/1.1 500 Internal Server Error\n",
        "a 1\n# EOF\n# EOF\n",
        &format!("a 1\n{}", "x".repeat(1000)),
    ]), @r##"
    the text is empty
    the text is empty
    line 1, `words of no metric`: `of` is no number
    line 1, `HTTP/1.1 500 Internal Server Error`: expected labels or a value after the name `HTTP`
    line 2, `HTTP/1.1 500 Internal Server Error`: it comes after `# EOF`
    line 3, `# EOF`: it comes after `# EOF`
    line 2, `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`: expected labels or a value after the name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`
    "##);
}

#[test]
fn lines() {
    insta::assert_snapshot!(openmetrics(&[
        "1a 1",
        " a 1",
        "a  1",
        "a 1 ",
        "a",
        "a{} ",
        "a{}1",
        "a one",
        "a -nan",
        "a 1e999",
        "a 1 soon",
        "a 1 NaN",
        "a 1 2 3",
        "a{x} 1",
        "a{x=1} 1",
        "a{x=\"1} 1",
        "a{x=\"1\"",
        "a{x=\"1\",} 1",
        "a{x=\"1\" y=\"2\"} 1",
        "a{x=\"1\",x=\"2\"} 1",
        "a{x:y=\"1\"} 1",
        r#"a{x="\d"} 1"#,
        r#"a{x="\"} 1"#,
    ]), @r##"
    line 1, `1a 1`: expected the name of a metric
    line 1, ` a 1`: expected the name of a metric
    line 1, `a  1`: expected a number
    line 1, `a 1 `: a blank ends the line
    line 1, `a`: expected labels or a value after the name `a`
    line 1, `a{} `: expected a number
    line 1, `a{}1`: expected a value after the labels
    line 1, `a one`: `one` is no number
    line 1, `a -nan`: `-nan` is no number
    line 1, `a 1e999`: `1e999` is no number
    line 1, `a 1 soon`: `soon` is no time in seconds
    line 1, `a 1 NaN`: `NaN` is no time in seconds
    line 1, `a 1 2 3`: `3` comes after the time
    line 1, `a{x} 1`: expected `="` after the label `x`
    line 1, `a{x=1} 1`: expected `="` after the label `x`
    line 1, `a{x="1} 1`: the value of the label `x` has no end
    line 1, `a{x="1"`: expected `,` or `}` after a label
    line 1, `a{x="1",} 1`: expected the name of a label
    line 1, `a{x="1" y="2"} 1`: expected `,` or `}` after a label
    line 1, `a{x="1",x="2"} 1`: the label `x` is there twice
    line 1, `a{x:y="1"} 1`: expected `="` after the label `x`
    line 1, `a{x="\d"} 1`: `\d` is no escape
    line 1, `a{x="\"} 1`: the value of the label `x` has no end
    "##);
    insta::assert_snapshot!(messages(&["a 1 1700000000.5\n", "a 1 1 # {} 1\n"]), @r##"
    line 1, `a 1 1700000000.5`: `1700000000.5` is no time in whole milliseconds
    line 1, `a 1 1 # {} 1`: `# {} 1` comes after the time
    "##);
}

#[test]
fn lines_about_families() {
    insta::assert_snapshot!(openmetrics(&[
        "# a comment",
        "#TYPE a gauge",
        "# TYPE",
        "# TYPE a",
        "# TYPE a untyped",
        "# TYPE a gauge ",
        "# TYPE a-b gauge",
        r"# HELP a \d",
        "# HELP a \\",
        "# UNIT a two words",
        "# TYPE a gauge\n# TYPE a gauge",
        "a 1\n# TYPE a gauge",
        "# HELP a_total A\n# TYPE a counter",
        "# TYPE a counter\na_total 1\n# TYPE a_total gauge",
    ]), @r##"
    line 1, `# a comment`: OpenMetrics has no comments but `# HELP`, `# TYPE` and `# UNIT`
    line 1, `#TYPE a gauge`: OpenMetrics has no comments but `# HELP`, `# TYPE` and `# UNIT`
    line 1, `# TYPE`: expected a blank after `TYPE`
    line 1, `# TYPE a`: `` is no type of a metric
    line 1, `# TYPE a untyped`: `untyped` is no type of a metric
    line 1, `# TYPE a gauge `: `gauge ` is no type of a metric
    line 1, `# TYPE a-b gauge`: expected a blank after the name `a`
    line 1, `# HELP a \d`: `\d` is no escape
    line 1, `# HELP a \`: nothing follows the last backslash
    line 1, `# UNIT a two words`: a unit is one word
    line 2, `# TYPE a gauge`: a second `# TYPE` of its family
    line 2, `# TYPE a gauge`: it comes after samples of its family
    line 2, `# TYPE a counter`: the name `a_total` belongs to the family `a_total`, which ended before this line
    line 3, `# TYPE a_total gauge`: the name `a_total` belongs to the family `a`, which ended before this line
    "##);
    insta::assert_snapshot!(messages(&["# TYPE a unknown\na 1\n", "# TYPE a info\n"]), @r##"
    line 1, `# TYPE a unknown`: `unknown` is no type of a metric
    line 1, `# TYPE a info`: `info` is no type of a metric
    "##);
}

#[test]
fn samples_outside_their_family() {
    insta::assert_snapshot!(openmetrics(&[
        "# TYPE a gauge\na{x=\"1\"} 1\n# TYPE b gauge\nb 1\na{x=\"2\"} 1",
        "# TYPE a counter\na_total{x=\"1\"} 1\nb 1\na_total{x=\"2\"} 1",
        "a{x=\"1\"} 1\nb 1\na{x=\"2\"} 1",
        "# TYPE a counter\na 1",
        "# TYPE a_total counter\na_total 1",
        "# TYPE a histogram\na 1",
        "# TYPE a info\na 1",
        "a 1\na 2",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1",
    ]), @r##"
    line 5, `a{x="2"} 1`: the name `a` belongs to the family `a`, which ended before this line
    line 4, `a_total{x="2"} 1`: the name `a_total` belongs to the family `a`, which ended before this line
    line 3, `a{x="2"} 1`: the name `a` belongs to the family `a`, which ended before this line
    line 2, `a 1`: the count of a counter `a` is named `a_total`
    line 2, `a_total 1`: the count of a counter `a_total` is named `a_total_total`
    line 2, `a 1`: a histogram `a` has no sample of just its name
    line 2, `a 1`: an info `a` has no sample of just its name
    line 2, `a 2`: the series is there already, in line 1
    line 3, `h_bucket{le="1.0"} 1`: the series is there already, in line 2
    "##);
}

#[test]
fn openmetrics_that_was_cut_off() {
    insta::assert_snapshot!(messages(&[
        "# TYPE a counter\na_total 1\n",
        "# TYPE a counter\na_created 1\na_total 1\n",
        "# TYPE a_total counter\na_created 1\n",
    ]), @r##"
    line 2, `a_total 1`: OpenMetrics names the counter `a` so, but the text does not end with `# EOF`
    line 2, `a_created 1`: OpenMetrics names the counter `a` so, but the text does not end with `# EOF`
    line 2, `a_created 1`: it says when a series began that is not there
    "##);
}

#[test]
fn values() {
    insta::assert_snapshot!(openmetrics(&[
        "# TYPE a counter\na_total -1",
        "# TYPE a counter\na_total NaN",
        "# TYPE a counter\na_created 1",
        "# TYPE a counter\na_total 1\na_created -1",
        "# TYPE a info\na_info 2",
        "# TYPE a stateset\na{a=\"x\"} 2",
        "# TYPE a stateset\na 1",
        "# TYPE a summary\na{quantile=\"2\"} 1",
        "# TYPE a summary\na 1",
        "# TYPE a summary\na_count 1.5",
        "# TYPE a gauge\na 1 # {} 1",
    ]), @r##"
    line 2, `a_total -1`: the value of a counter is zero or more
    line 2, `a_total NaN`: the value of a counter is zero or more
    line 2, `a_created 1`: it says when a series began that is not there
    line 3, `a_created -1`: when the counting began is a time in seconds
    line 2, `a_info 2`: the value of an info is 1
    line 2, `a{a="x"} 2`: the value of a state is 0 or 1
    line 2, `a 1`: a state is named by a label `a`
    line 2, `a{quantile="2"} 1`: the quantile 2 is not between 0 and 1
    line 2, `a 1`: the label `quantile` is missing
    line 2, `a_count 1.5`: a count of observations is a whole number
    line 2, `a 1 # {} 1`: only buckets and counts have exemplars
    "##);
}

#[test]
fn exemplars() {
    let long = format!("# TYPE a counter\na_total 1 # {{x=\"{}\"}} 1", "é".repeat(128));
    insta::assert_snapshot!(openmetrics(&[
        "# TYPE a counter\na_total 1 #",
        "# TYPE a counter\na_total 1 # 1",
        "# TYPE a counter\na_total 1 # {}",
        "# TYPE a counter\na_total 1 # {} x",
        "# TYPE a counter\na_total 1 # {} 1 2 3",
        "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1 # {} 0.6\nh_bucket{le=\"+Inf\"} 1",
        &long,
    ]), @r##"
    line 2, `a_total 1 #`: expected the labels of an exemplar after `# `
    line 2, `a_total 1 # 1`: expected the labels of an exemplar after `# `
    line 2, `a_total 1 # {}`: expected a value after the labels of the exemplar
    line 2, `a_total 1 # {} x`: `x` is no number
    line 2, `a_total 1 # {} 1 2 3`: ` 3` comes after the exemplar
    line 2, `h_bucket{le="0.5"} 1 # {} 0.6`: the exemplar is above the bound of its bucket, 0.5
    line 2, `a_total 1 # {x="éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé"} 1`: the labels of the exemplar have 129 letters, more than 128
    "##);
}

#[test]
fn histograms() {
    insta::assert_snapshot!(openmetrics(&[
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\nh_sum 1",
        "# TYPE h histogram\nh_sum 1\nh_count 1",
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"1\"} 3",
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_count 3",
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3",
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1.5",
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} Inf",
        "# TYPE h histogram\nh_bucket 1",
        "# TYPE h histogram\nh_bucket{le=\"NaN\"} 1",
    ]), @r##"
    line 2, `h_bucket{le="1"} 1`: its histogram has no bucket `+Inf`
    line 2, `h_sum 1`: its histogram has no bucket `+Inf`
    line 2, `h_bucket{le="+Inf"} 2`: the bucket holds less than the 3 of the smaller one in line 3
    line 3, `h_count 3`: the count is not the 2 of the bucket `+Inf` in line 2
    line 3, `h_sum 3`: its histogram has a sum and no count
    line 2, `h_bucket{le="+Inf"} 1.5`: a count of observations is a whole number
    line 2, `h_bucket{le="+Inf"} Inf`: a count of observations is a whole number
    line 2, `h_bucket 1`: the label `le` is missing
    line 2, `h_bucket{le="NaN"} 1`: the label `le` is no number
    "##);
}
