//! Whatever is written is read back in both forms, and no text is too odd to be refused in words.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{collections::BTreeMap, fmt::Write};

use exposition::{Sample, Series, samples};
use proptest::{collection::btree_map, prelude::*};

type Labels = BTreeMap<String, String>;

/// A family without its name: for each label set, what was measured.
#[derive(Debug, Clone)]
enum Family {
    Counter(BTreeMap<Labels, u32>),
    Gauge(BTreeMap<Labels, f64>),
    /// How many fell between each two bounds, of which there is one less.
    Histogram(BTreeMap<Labels, [u32; 3]>),
}

const BOUNDS: [&str; 3] = ["0.25", "5", "+Inf"];

fn of_each_label_set<T: std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = BTreeMap<Labels, T>> {
    let labels = btree_map("[a-d_][a-d0-9_]{0,3}", any::<String>(), 0..3);
    btree_map(labels, value, 1..4)
}

fn family() -> impl Strategy<Value = Family> {
    let level = any::<f64>().prop_filter("NaN equals nothing", |level| !level.is_nan());
    prop_oneof![
        of_each_label_set(any::<u32>()).prop_map(Family::Counter),
        of_each_label_set(level).prop_map(Family::Gauge),
        of_each_label_set(any::<[u32; 3]>()).prop_map(Family::Histogram),
    ]
}

/// A text, and what should be read out of it.
struct Writer {
    is_openmetrics: bool,
    text: String,
    expected: Vec<Sample>,
}

impl Writer {
    fn announce(&mut self, name: &str, kind: &str) {
        writeln!(self.text, "# HELP {name} It's \\\\ \\n.\n# TYPE {name} {kind}").unwrap();
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: f64) {
        let escaped = |text: &str| {
            text.replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n")
        };
        let pairs: Vec<String> = labels
            .iter()
            .map(|(name, text)| format!("{name}=\"{}\"", escaped(text)))
            .collect();
        let time = if self.is_openmetrics { "7.5" } else { "7500" };
        writeln!(self.text, "{name}{{{}}} {value} {time}", pairs.join(",")).unwrap();
        self.expected.push(Sample {
            series: Series {
                name: name.to_owned(),
                labels: labels.clone(),
                value,
            },
            timestamp_seconds: Some(7.5),
            created_seconds: None,
        });
    }

    fn family(&mut self, name: &str, family: &Family) {
        match family {
            Family::Counter(counts) => {
                let total = format!("{name}_total");
                self.announce(if self.is_openmetrics { name } else { &total }, "counter");
                for (labels, count) in counts {
                    self.sample(&total, labels, f64::from(*count));
                }
            }
            Family::Gauge(levels) => {
                self.announce(name, "gauge");
                for (labels, level) in levels {
                    self.sample(name, labels, *level);
                }
            }
            Family::Histogram(histograms) => {
                self.announce(name, "histogram");
                for (labels, counts) in histograms {
                    let mut below = 0.0;
                    for (bound, count) in BOUNDS.iter().zip(counts) {
                        below += f64::from(*count);
                        let mut labels = labels.clone();
                        labels.insert("le".to_owned(), (*bound).to_owned());
                        self.sample(&format!("{name}_bucket"), &labels, below);
                    }
                    self.sample(&format!("{name}_sum"), labels, -0.5);
                    self.sample(&format!("{name}_count"), labels, below);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(families in prop::collection::vec(family(), 1..5), is_openmetrics: bool) {
        let mut writer = Writer { is_openmetrics, text: String::new(), expected: Vec::new() };
        for (number, family) in families.iter().enumerate() {
            writer.family(&format!("n:{number}"), family);
        }
        if is_openmetrics {
            writer.text.push_str("# EOF\n");
        }
        let Writer { text, mut expected, .. } = writer;
        expected.sort_by(|a, b| (&a.series.name, &a.series.labels).cmp(&(&b.series.name, &b.series.labels)));
        prop_assert_eq!(samples(&text), Ok(expected), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = samples(&text);
    }

    #[test]
    fn pieces_of_texts_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..30)) {
        let _ = samples(&pieces.concat());
    }
}

/// Pieces that get further into the reader than letters by chance do.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "# TYPE ",
        "# HELP ",
        "# UNIT ",
        "# EOF\n",
        "counter\n",
        "histogram\n",
        "summary\n",
        "gauge\n",
        "stateset\n",
        "info\n",
        "a",
        "a_total",
        "a_bucket",
        "a_sum",
        "a_count",
        "a_created",
        "{",
        "}",
        "le=\"",
        "quantile=\"",
        "a=\"",
        "\"",
        "\\",
        ",",
        " ",
        "\t",
        "\n",
        "1",
        "0.5",
        "+Inf",
        "NaN",
        "-",
        " # {} 1",
        "é",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => any::<String>()]
}
