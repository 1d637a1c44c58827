//! Which series are counted: a Prometheus selector, read by Prometheus' own grammar.

use std::fmt;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector, parse};

use crate::scrape::Key;

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
        let expression = parse(query).map_err(|error| format!("`{query}` is no query: {error}"))?;
        let selector = selected(&expression).ok_or_else(|| {
            format!(
                "`{query}` cannot be measured here: only `metric{{label=\"value\"}}` can, with sum(), rate() or \
                 increase() around it"
            )
        })?;
        let name = selector
            .name
            .clone()
            .ok_or_else(|| format!("`{query}` names no metric"))?;
        if name.ends_with("_sum") || name.ends_with("_seconds_total") {
            return Err(format!(
                "`{name}` adds up something else than events; a ratio is one of counts"
            ));
        }
        Ok(Self {
            name,
            matchers: selector.matchers.matchers.clone(),
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
    pub(crate) fn having(mut self, label: &str, value: &str) -> Self {
        self.matchers.push(Matcher::new(MatchOp::Equal, label, value));
        self
    }

    /// The same, where a label has not this value.
    pub(crate) fn lacking(mut self, label: &str, value: &str) -> Self {
        self.matchers.push(Matcher::new(MatchOp::NotEqual, label, value));
        self
    }

    /// The same, where all of a label matches a pattern. It must be a valid one.
    pub(crate) fn matching_label(self, label: &str, pattern: &str) -> Self {
        let (name, mut matchers) = (self.name, self.matchers);
        // Prometheus' own reader makes the matcher, so that the pattern is anchored as it does. A pattern of this crate
        // that were none would select nothing, and every test of it fail.
        let read =
            Self::parse(&format!("{name}{{{label}=~{pattern:?}}}")).unwrap_or_else(|_| Self::named(""));
        matchers.extend(read.matchers);
        Self {
            name: read.name,
            matchers,
        }
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
        let fixed = |selector: &Self| -> Vec<(String, String)> {
            let equal = selector
                .matchers
                .iter()
                .filter(|matcher| matcher.op == MatchOp::Equal);
            equal
                .map(|matcher| (matcher.name.clone(), matcher.value.clone()))
                .collect()
        };
        let suits = |selector: &Self, (label, value): &(String, String)| {
            let of_label = selector.matchers.iter().filter(|matcher| matcher.name == *label);
            of_label.into_iter().all(|matcher| matcher.is_match(value))
        };
        self.name == other.name
            && fixed(self).iter().all(|label| suits(other, label))
            && fixed(other).iter().all(|label| suits(self, label))
    }

    /// Whether a series is meant. A label that it lacks is the empty text, as in Prometheus.
    pub(crate) fn matches(&self, series: &Key) -> bool {
        self.name == series.name
            && self.matchers.iter().all(|matcher| {
                let value = series.labels.get(&matcher.name).map_or("", String::as_str);
                matcher.is_match(value)
            })
    }
}

fn selected(expression: &Expr) -> Option<&VectorSelector> {
    match expression {
        Expr::VectorSelector(selector) => plain(selector),
        Expr::Paren(inner) => selected(&inner.expr),
        Expr::Aggregate(sum) if sum.op.to_string() == "sum" && sum.modifier.is_none() => selected(&sum.expr),
        Expr::Call(call) if matches!(call.func.name, "rate" | "increase") => {
            match call.args.args.first().map(AsRef::as_ref) {
                Some(Expr::MatrixSelector(matrix)) => plain(&matrix.vs),
                _ => None,
            }
        }
        _ => None,
    }
}

fn plain(selector: &VectorSelector) -> Option<&VectorSelector> {
    let is_now = selector.offset.is_none() && selector.at.is_none();
    (is_now && selector.matchers.or_matchers.is_empty()).then_some(selector)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, matcher) in self.matchers.iter().enumerate() {
            let before = if index == 0 { "{" } else { "," };
            write!(f, "{before}{}{}{:?}", matcher.name, matcher.op, matcher.value)?;
        }
        if self.matchers.is_empty() {
            return Ok(());
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_only_a_server_can_answer_is_refused() {
        for (query, word) in [
            ("a_total / b_total", "cannot be measured"),
            ("sum by (x) (a_total)", "cannot be measured"),
            ("a_total offset 5m", "cannot be measured"),
            ("histogram_quantile(0.9, a_bucket)", "cannot be measured"),
            ("{code=\"2\"}", "names no metric"),
            ("sum(a_total", "is no query"),
            ("a_seconds_total", "something else than events"),
        ] {
            let error = Selector::parse(query).unwrap_err();
            assert!(error.contains(word), "{query}: {error}");
        }
    }
}
