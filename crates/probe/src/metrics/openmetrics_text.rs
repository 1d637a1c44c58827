//! OpenMetrics 1.0 text of a family set.
//!
//! Written here because the client library writes neither summaries nor when a series was created, both of which the
//! format has.

use std::fmt::{self, Write};

use super::{Families, Family, Labels, Value};
use crate::exemplar::Exemplar;

/// What this format has and Prometheus' own has not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extras {
    /// Since when everything counts, in seconds since 1970.
    pub created_seconds: Option<f64>,
    /// Whether exemplars are written.
    pub exemplars: bool,
}

/// Writes all families, each series with its labels in order, and the end mark.
pub(super) fn write(out: &mut impl Write, families: &Families, extras: Extras) -> fmt::Result {
    for (name, family) in &families.families {
        write_family(out, name, family, extras)?;
    }
    out.write_str("# EOF\n")
}

fn write_family(out: &mut impl Write, name: &str, family: &Family, extras: Extras) -> fmt::Result {
    let Some(first) = family.series.values().next() else {
        return Ok(());
    };
    writeln!(out, "# HELP {name} {}", Escaped(family.help))?;
    writeln!(out, "# TYPE {name} {}", first.type_name())?;
    for (labels, value) in &family.series {
        write_series(out, name, labels, value, extras.exemplars)?;
        if let Some(created) = extras.created_seconds.filter(|_| first.has_beginning()) {
            sample(out, name, "_created", None, labels, Number(created))?;
        }
    }
    Ok(())
}

fn write_series(
    out: &mut impl Write,
    name: &str,
    labels: &Labels,
    value: &Value,
    exemplars: bool,
) -> fmt::Result {
    match value {
        Value::Counter(count) => sample(out, name, "_total", None, labels, count),
        Value::CounterSeconds(seconds) => sample(out, name, "_total", None, labels, Number(*seconds)),
        Value::Gauge(level) => sample(out, name, "", None, labels, level),
        Value::GaugeSeconds(seconds) => sample(out, name, "", None, labels, Number(*seconds)),
        Value::Info => sample(out, name, "_info", None, labels, 1),
        Value::Histogram(histogram) => {
            sample(out, name, "_sum", None, labels, Number(histogram.sum_seconds()))?;
            sample(out, name, "_count", None, labels, histogram.count())?;
            let mut cumulative = 0;
            for (bucket, (bound, count)) in histogram.buckets().into_iter().enumerate() {
                cumulative += count;
                let bound = if bound.is_finite() {
                    Number(bound).to_string()
                } else {
                    "+Inf".to_owned()
                };
                let exemplar = histogram.exemplar(bucket).filter(|_| exemplars);
                let value = Marked(cumulative, exemplar);
                sample(out, name, "_bucket", Some(("le", &bound)), labels, value)?;
            }
            Ok(())
        }
        Value::Summary(summary) => {
            for (share, value) in &summary.quantiles {
                // As it is usually written: `1`, not `1.0`.
                let quantile = Some(("quantile", &*share.to_string()));
                sample(out, name, "", quantile, labels, Number(*value))?;
            }
            sample(out, name, "_sum", None, labels, Number(summary.sum))?;
            sample(out, name, "_count", None, labels, summary.count)
        }
    }
}

fn sample(
    out: &mut impl Write,
    name: &str,
    suffix: &str,
    own_label: Option<(&str, &str)>,
    labels: &Labels,
    value: impl fmt::Display,
) -> fmt::Result {
    write!(out, "{name}{suffix}")?;
    let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
    write_labels(out, own_label.into_iter().chain(labels))?;
    writeln!(out, " {value}")
}

/// Nothing where there are none.
fn write_labels<'a>(out: &mut impl Write, labels: impl Iterator<Item = (&'a str, &'a str)>) -> fmt::Result {
    let mut separator = '{';
    for (label, text) in labels {
        write!(out, "{separator}{label}=\"{}\"", Escaped(text))?;
        separator = ',';
    }
    out.write_str(if separator == ',' { "}" } else { "" })
}

/// A count, and one of the values that were counted.
struct Marked<'a>(u64, Option<&'a Exemplar>);

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let Some(exemplar) = self.1 else {
            return Ok(());
        };
        f.write_str(" # ")?;
        write_labels(
            f,
            exemplar
                .labels
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        )?;
        let value = Number(exemplar.value_ns as f64 / 1e9);
        write!(f, " {value} {}", Seconds(exemplar.unix_ns))
    }
}

/// Nanoseconds as seconds with all their digits, of which a float would lose some.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A float in the shortest digits that mean it, always with a point or an exponent.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(dtoa::Buffer::new().format(self.0))
    }
}

/// Text as it may stand in quotes, and behind `# HELP`.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
