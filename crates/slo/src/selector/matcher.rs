//! What one label must be. It knows neither names of metrics nor how a query is written, but writes itself.

use std::fmt;

use super::{literal::quoted, names::is_label, pattern::Pattern};

/// A label with what its value must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matcher {
    pub(super) label: String,
    pub(super) test: Test,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Equal(String),
    NotEqual(String),
    Like(Pattern),
    Unlike(Pattern),
}

impl Matcher {
    pub(super) fn new(label: &str, test: Test) -> Self {
        Self {
            label: label.to_owned(),
            test,
        }
    }

    pub(super) fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(wanted) => wanted == value,
            Test::NotEqual(unwanted) => unwanted != value,
            Test::Like(pattern) => pattern.matches(value),
            Test::Unlike(pattern) => !pattern.matches(value),
        }
    }

    /// The label and its only value, if one is all it may have.
    pub(super) fn fixed(&self) -> Option<(&str, &str)> {
        match &self.test {
            Test::Equal(value) => Some((&self.label, value)),
            _ => None,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_label(&self.label) {
            f.write_str(&self.label)?;
        } else {
            f.write_str(&quoted(&self.label))?;
        }
        let (operator, value) = match &self.test {
            Test::Equal(value) => ("=", value.as_str()),
            Test::NotEqual(value) => ("!=", value.as_str()),
            Test::Like(pattern) => ("=~", pattern.as_str()),
            Test::Unlike(pattern) => ("!~", pattern.as_str()),
        };
        write!(f, "{operator}{}", quoted(value))
    }
}
