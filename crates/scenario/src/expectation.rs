//! What must be true of a run, as the scenario file writes it. How it is decided is in `compare`.
//!
//! The kind of an expectation says which keys it has, so its table is taken apart by hand: first name and
//! kind, then the keys of that kind. Every error keeps its place in the file that way.
//!
//! | kind | keys beside `name` | holds when |
//! |---|---|---|
//! | `equal` | `left`, `right` | each group has the same sum on both sides |
//! | `value` | `of`; some of `is`, `at_least`, `at_most`; `absent_is_zero` | each group's sum keeps to the bounds |
//! | `within` | `left`, `right`, one of `tolerance_seconds`, `tolerance`, `tolerance_ratio`; `because` | each group's two values are no further apart |
//! | `at-most` | `left`, `right` | in each group the left sum is at most the right one |
//! | `ranked` | `left`, `right`; `slack_seconds` with `because` | sorted, no value of the left is above its counterpart |
//! | `buckets` | `left`, `right`, `tolerance_seconds`, `because` | the left histogram counted the right values |
//!
//! A side is `{ source, series, plus, by, where, as }`: the series `series` and those of the list `plus`,
//! only those with the labels `where`, grouped by the labels `by`, which `as` renames.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::error::Fault;

#[derive(Debug, Clone)]
pub(crate) struct Expectation {
    pub(crate) name: Spanned<String>,
    pub(crate) check: Check,
}

/// The kinds of expectation.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    Equal(Equal),
    Value(Value),
    Within(Within),
    AtMost(AtMost),
    Ranked(Ranked),
    Buckets(Buckets),
}

/// Both sides have the same groups with exactly the same sums.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Equal {
    pub(crate) left: Select,
    pub(crate) right: Select,
}

/// The sum of each group keeps to the given bounds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Value {
    pub(crate) of: Select,
    pub(crate) is: Option<f64>,
    pub(crate) at_least: Option<f64>,
    pub(crate) at_most: Option<f64>,
    /// A source that answered, but has no such series, counts as zero. For counters that only show once
    /// something was counted.
    #[serde(default)]
    pub(crate) absent_is_zero: bool,
}

/// The two sides have the same groups, and their values differ by at most the tolerance.
#[derive(Debug, Clone)]
pub(crate) struct Within {
    pub(crate) left: Select,
    pub(crate) right: Select,
    pub(crate) tolerance: Tolerance,
    pub(crate) because: Spanned<String>,
}

/// By how much two values may differ.
#[derive(Debug, Clone)]
pub(crate) enum Tolerance {
    /// Key `tolerance_seconds`. For times that were measured one by one: a group has one value on each side.
    Seconds(Spanned<f64>),
    /// Key `tolerance`: a number without unit. For counts: the values of a group are added up.
    Number(Spanned<f64>),
    /// Key `tolerance_ratio`: a fraction of the right-hand value, below 1. The values of a group are added up;
    /// a right-hand 0 allows nothing but 0.
    Ratio(Spanned<f64>),
}

/// [`Within`] as it is written: exactly one of the three tolerances must be there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithinKeys {
    left: Select,
    right: Select,
    tolerance_seconds: Option<Spanned<f64>>,
    tolerance: Option<Spanned<f64>>,
    tolerance_ratio: Option<Spanned<f64>>,
    because: Spanned<String>,
}

/// In each group the sum of the left side is at most the sum of the right side.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AtMost {
    pub(crate) left: Select,
    pub(crate) right: Select,
}

/// Both sides have equally many values, and rank by rank left ≤ right + slack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ranked {
    pub(crate) left: Select,
    pub(crate) right: Select,
    pub(crate) slack_seconds: Option<Spanned<f64>>,
    pub(crate) because: Option<Spanned<String>>,
}

/// The histogram on the left agrees with the values on the right, but for values that are so close to a
/// bound that the tolerance lets them fall on either side of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Buckets {
    pub(crate) left: Select,
    pub(crate) right: Select,
    pub(crate) tolerance_seconds: Spanned<f64>,
    pub(crate) because: Spanned<String>,
}

/// Which series of which source, and by which labels they are grouped.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Select {
    pub(crate) source: Spanned<String>,
    pub(crate) series: Spanned<String>,
    /// Further series that belong to the same sum. Each must be there.
    #[serde(default)]
    pub(crate) plus: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) by: Vec<String>,
    /// Labels that must have these values.
    #[serde(default, rename = "where")]
    pub(crate) having: BTreeMap<String, String>,
    /// Other names for labels of `by`, so that both sides speak of the same thing.
    #[serde(default, rename = "as")]
    pub(crate) renamed: BTreeMap<String, String>,
}

impl Select {
    /// The names of its series.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Spanned<String>> {
        std::iter::once(&self.series).chain(&self.plus)
    }

    /// The labels of a group, under the names both sides share, sorted.
    pub(crate) fn key_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .by
            .iter()
            .map(|label| self.renamed.get(label).unwrap_or(label).as_str())
            .collect();
        names.sort_unstable();
        names
    }
}

impl Tolerance {
    /// The number as it is written.
    pub(crate) fn number(&self) -> &Spanned<f64> {
        match self {
            Tolerance::Seconds(number) | Tolerance::Number(number) | Tolerance::Ratio(number) => number,
        }
    }
}

impl Check {
    /// The sides it compares.
    pub(crate) fn selects(&self) -> Vec<&Select> {
        match self {
            Check::Equal(Equal { left, right })
            | Check::Within(Within { left, right, .. })
            | Check::AtMost(AtMost { left, right })
            | Check::Ranked(Ranked { left, right, .. })
            | Check::Buckets(Buckets { left, right, .. }) => vec![left, right],
            Check::Value(Value { of, .. }) => vec![of],
        }
    }
}

const KINDS: [&str; 6] = ["equal", "value", "within", "at-most", "ranked", "buckets"];

pub(crate) fn read(tables: Spanned<DeValue<'_>>) -> Result<Vec<Expectation>, Fault> {
    let span = tables.span();
    let DeValue::Array(array) = tables.into_inner() else {
        return Err(Fault::new(span, "`expect` is a list of tables").help("write `[[expect]]`"));
    };
    array.into_iter().map(read_one).collect()
}

fn read_one(value: Spanned<DeValue<'_>>) -> Result<Expectation, Fault> {
    let span = value.span();
    let DeValue::Table(mut table) = value.into_inner() else {
        return Err(Fault::new(span, "an expectation is a table"));
    };
    let name = take_text(&mut table, "name", &span)?;
    let kind = take_text(&mut table, "kind", &span)?;
    let keys = ValueDeserializer::from(Spanned::new(span, DeValue::Table(table)));
    let check = match kind.get_ref().as_str() {
        "equal" => Check::Equal(Equal::deserialize(keys)?),
        "value" => Check::Value(Value::deserialize(keys)?),
        "within" => Check::Within(within(WithinKeys::deserialize(keys)?, &name)?),
        "at-most" => Check::AtMost(AtMost::deserialize(keys)?),
        "ranked" => Check::Ranked(Ranked::deserialize(keys)?),
        "buckets" => Check::Buckets(Buckets::deserialize(keys)?),
        other => {
            let fault = Fault::new(kind.span(), format!("unknown kind of expectation `{other}`"));
            return Err(fault.known(other, KINDS));
        }
    };
    Ok(Expectation { name, check })
}

fn within(keys: WithinKeys, name: &Spanned<String>) -> Result<Within, Fault> {
    let given = [
        keys.tolerance_seconds.map(Tolerance::Seconds),
        keys.tolerance.map(Tolerance::Number),
        keys.tolerance_ratio.map(Tolerance::Ratio),
    ];
    let mut given = given.into_iter().flatten();
    let help = "give one of `tolerance_seconds`, `tolerance` and `tolerance_ratio`";
    let Some(tolerance) = given.next() else {
        return Err(Fault::new(name.span(), "nothing says how far apart the two sides may be").help(help));
    };
    if let Some(second) = given.next() {
        return Err(Fault::new(second.number().span(), "a second tolerance").help(help));
    }
    Ok(Within {
        left: keys.left,
        right: keys.right,
        tolerance,
        because: keys.because,
    })
}

fn take_text(
    table: &mut DeTable<'_>,
    key: &str,
    span: &std::ops::Range<usize>,
) -> Result<Spanned<String>, Fault> {
    let Some(value) = table.remove(key) else {
        return Err(Fault::new(
            span.clone(),
            format!("an expectation needs the key `{key}`"),
        ));
    };
    let place = value.span();
    match value.get_ref().as_str() {
        Some(text) => Ok(Spanned::new(place, text.to_owned())),
        None => Err(Fault::new(place, format!("`{key}` is a text"))),
    }
}
