//! Metric series, the one form that everything is compared in, and how a selection groups them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{error::nearest, expectation::Select};

pub use exposition::Series;

/// What every source of a run said: its series, or why there are none.
pub(crate) type Sources = BTreeMap<String, Result<Vec<Series>, String>>;

/// The label values of a group, sorted by label name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Vec<(String, String)>);

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("all");
        }
        for (index, (label, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{label}={value}")?;
        }
        Ok(())
    }
}

/// Why a selection has nothing.
#[derive(Debug)]
pub(crate) enum Nothing {
    /// The source itself gave nothing.
    NoSource(String),
    /// The source answered, but has no such series.
    NoSeries(String),
}

impl Nothing {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Nothing::NoSource(reason) | Nothing::NoSeries(reason) => reason,
        }
    }
}

impl Select {
    /// The selected series. Never empty. `suffix` is appended to each name (`_bucket` of a histogram).
    pub(crate) fn series<'a>(&self, sources: &'a Sources, suffix: &str) -> Result<Vec<&'a Series>, Nothing> {
        let source = self.source.get_ref();
        let all = match sources.get(source) {
            Some(Ok(all)) => all,
            Some(Err(reason)) => return Err(Nothing::NoSource(format!("source `{source}`: {reason}"))),
            None => return Err(Nothing::NoSource(format!("there is no source `{source}`"))),
        };
        let mut selected = Vec::new();
        for name in self.names() {
            selected.extend(self.named(&format!("{}{suffix}", name.get_ref()), all)?);
        }
        Ok(selected)
    }

    /// The series of one name. Never empty.
    fn named<'a>(&self, name: &str, all: &'a [Series]) -> Result<Vec<&'a Series>, Nothing> {
        let source = self.source.get_ref();
        let named: Vec<&Series> = all.iter().filter(|series| series.name == name).collect();
        if named.is_empty() {
            return Err(Nothing::NoSeries(format!(
                "source `{source}` has no series `{name}`{}",
                instead(name, all)
            )));
        }
        let count = named.len();
        let having: Vec<&Series> = named
            .into_iter()
            .filter(|series| self.has_labels(series))
            .collect();
        if having.is_empty() {
            let wanted: Vec<String> = self
                .having
                .iter()
                .map(|(label, value)| format!("{label}={value}"))
                .collect();
            return Err(Nothing::NoSeries(format!(
                "none of the {count} series `{name}` of `{source}` has {}",
                wanted.join(",")
            )));
        }
        Ok(having)
    }

    /// The values of the selected series by group. Never empty.
    pub(crate) fn groups(&self, sources: &Sources) -> Result<BTreeMap<Key, Vec<f64>>, Nothing> {
        let mut groups: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
        for series in self.series(sources, "")? {
            groups.entry(self.key(series)).or_default().push(series.value);
        }
        Ok(groups)
    }

    /// The group that a series belongs to. A label that it lacks is the empty text, as in Prometheus.
    pub(crate) fn key(&self, series: &Series) -> Key {
        let mut pairs: Vec<(String, String)> = self
            .by
            .iter()
            .map(|label| {
                let shared = self.renamed.get(label).unwrap_or(label);
                (
                    shared.clone(),
                    series.labels.get(label).cloned().unwrap_or_default(),
                )
            })
            .collect();
        pairs.sort();
        Key(pairs)
    }

    fn has_labels(&self, series: &Series) -> bool {
        self.having
            .iter()
            .all(|(label, value)| series.labels.get(label) == Some(value))
    }
}

/// What a source has in place of a series that it lacks: one with a like name, else the names it has.
fn instead(name: &str, all: &[Series]) -> String {
    const SHOWN: usize = 8;
    let names: BTreeSet<&str> = all.iter().map(|series| series.name.as_str()).collect();
    if let Some(meant) = nearest(name, names.iter().copied()) {
        return format!("; did you mean `{meant}`?");
    }
    let shown: Vec<&str> = names.iter().copied().take(SHOWN).collect();
    match names.len().saturating_sub(SHOWN) {
        _ if shown.is_empty() => "; it has none at all".to_owned(),
        0 => format!("; it has {}", shown.join(", ")),
        more => format!("; it has {} and {more} more", shown.join(", ")),
    }
}
