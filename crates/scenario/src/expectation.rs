//! What must be true of a run, as the scenario file writes it. How it is decided is in `compare`.
//!
//! The kind of an expectation says which keys it has, so its table is taken apart by hand: first name and
//! kind, then the keys of that kind. Every error keeps its place in the file that way.

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

/// The two sides have the same keys, one value each, and the values differ by at most the tolerance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Within {
    pub(crate) left: Select,
    pub(crate) right: Select,
    pub(crate) tolerance_seconds: Spanned<f64>,
    pub(crate) because: Spanned<String>,
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

impl Check {
    /// The sides it compares.
    pub(crate) fn selects(&self) -> Vec<&Select> {
        match self {
            Check::Equal(Equal { left, right })
            | Check::Within(Within { left, right, .. })
            | Check::Ranked(Ranked { left, right, .. })
            | Check::Buckets(Buckets { left, right, .. }) => vec![left, right],
            Check::Value(Value { of, .. }) => vec![of],
        }
    }
}

const KINDS: [&str; 5] = ["equal", "value", "within", "ranked", "buckets"];

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
        "within" => Check::Within(Within::deserialize(keys)?),
        "ranked" => Check::Ranked(Ranked::deserialize(keys)?),
        "buckets" => Check::Buckets(Buckets::deserialize(keys)?),
        other => {
            let fault = Fault::new(kind.span(), format!("unknown kind of expectation `{other}`"));
            return Err(fault.known(other, KINDS));
        }
    };
    Ok(Expectation { name, check })
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
