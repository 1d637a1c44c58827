//! Which series are counted: a selector as Prometheus writes it. It says what is meant and never what was measured.

mod cursor;
mod labels;
mod lexer;
mod literal;
mod matcher;
mod names;
mod pattern;
mod query;

use std::fmt;

use matcher::{Matcher, Test};
use pattern::Pattern;
use query::Refusal;

use crate::scrape::Key;

pub(crate) use literal::quoted;

/// The name of a series and what its labels must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    name: String,
    matchers: Vec<Matcher>,
}

impl Selector {
    /// Reads `name{label="value"}`, with `sum(…)`, `rate(…[1m])` or `increase(…[1m])` around it or not: what is counted
    /// is the increase of the sum in any case.
    ///
    /// # Errors
    /// What is wrong with it, in words. Other queries are for a Prometheus server to answer.
    pub fn parse(query: &str) -> Result<Self, String> {
        let unmeasurable = || {
            format!(
                "`{query}` cannot be measured here: only `metric{{label=\"value\"}}` can, with sum(), rate() or \
                 increase() around it"
            )
        };
        let vector = query::read(query).map_err(|refusal| match refusal {
            Refusal::NoQuery(reason) => format!("`{query}` is no query: {reason}"),
            Refusal::Unmeasurable => unmeasurable(),
        })?;
        let name = vector
            .name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| format!("`{query}` names no metric"))?;
        if vector
            .matchers
            .iter()
            .any(|matcher| matcher.label == labels::NAME)
        {
            return Err(unmeasurable());
        }
        if name.ends_with("_sum") || name.ends_with("_seconds_total") {
            return Err(format!(
                "`{name}` adds up something else than events; a ratio is one of counts"
            ));
        }
        Ok(Self {
            name,
            matchers: vector.matchers,
        })
    }

    /// All series of this name.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            matchers: Vec::new(),
        }
    }

    /// The same, where a label has this value.
    pub(crate) fn having(self, label: &str, value: &str) -> Self {
        self.with(label, Test::Equal(value.to_owned()))
    }

    /// The same, where a label has not this value.
    pub(crate) fn lacking(self, label: &str, value: &str) -> Self {
        self.with(label, Test::NotEqual(value.to_owned()))
    }

    /// The same, where all of a label matches a pattern. It must be a valid one.
    pub(crate) fn matching_label(self, label: &str, pattern: &str) -> Self {
        // All callers are in this crate: their patterns are constants, or a number and a constant.
        let pattern = Pattern::new(pattern).expect("a pattern of this crate is a valid one");
        self.with(label, Test::Like(pattern))
    }

    fn with(mut self, label: &str, test: Test) -> Self {
        self.matchers.push(Matcher::new(label, test));
        self
    }

    /// The same labels of another name.
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            matchers: self.matchers.clone(),
        }
    }

    /// The metric's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both may mean the same series, as far as labels that must be equal tell.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.name == other.name && self.accepts_fixed_of(other) && other.accepts_fixed_of(self)
    }

    fn accepts_fixed_of(&self, other: &Self) -> bool {
        let accepts = |(label, value)| {
            let mut of_label = self.matchers.iter().filter(|matcher| matcher.label == label);
            of_label.all(|matcher| matcher.accepts(value))
        };
        other.matchers.iter().filter_map(Matcher::fixed).all(accepts)
    }

    /// Whether a series is meant. A label that it lacks is the empty text, as in Prometheus.
    pub(crate) fn matches(&self, series: &Key) -> bool {
        self.name == series.name
            && self.matchers.iter().all(|matcher| {
                let value = series.labels.get(&matcher.label).map_or("", String::as_str);
                matcher.accepts(value)
            })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut inside: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        if names::is_metric(&self.name) {
            f.write_str(&self.name)?;
        } else {
            inside.insert(0, quoted(&self.name));
        }
        if inside.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", inside.join(","))
    }
}

#[cfg(test)]
mod tests;
