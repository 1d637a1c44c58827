//! Queries that a program can answer from the metrics it has itself: one selector, and around it any of `sum(…)`,
//! `rate(…[5m])`, `increase(…[5m])` and parentheses. It is told from other queries and from what is no query, the last
//! two only as well as a message needs it.
//!
//! No library reads them, because this code is in a daemon that must be the same bytes whenever it is built: the tables
//! of the one that reads all of PromQL are generated anew with each build, in an order that changes.
//!
//! ```text
//! text ─► tokens (lexer) ─► Vector
//!            └ labels ─► literal, pattern
//! ```

use super::{
    cursor::Fault,
    labels::Vector,
    lexer::{
        self, Token,
        Word::{Labels, Name, Number, Sign, Text},
    },
};

/// Why a text is not a query of this kind.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// It is none of any kind: where, and what was expected.
    NoQuery(String),
    /// A server may answer it.
    Unmeasurable,
}

/// What may stand around a selector.
#[derive(Debug, Clone, Copy)]
enum Call {
    Parentheses,
    Sum,
    /// `rate` or `increase`.
    Change,
}

/// Words that make another query of the one before them.
const KEYWORDS: [&str; 12] = [
    "and", "or", "unless", "atan2", "offset", "by", "without", "on", "ignoring", "smoothed", "anchored",
    "bool",
];

/// Reads the selector of a query.
pub(super) fn read(text: &str) -> Result<Vector, Refusal> {
    let tokens = lexer::tokens(text)?;
    let mut reader = Reader { text, rest: &tokens };
    let calls = reader.calls()?;
    let vector = reader.vector()?;
    let mut is_range = reader.range()?;
    for call in calls.iter().rev() {
        is_range = reader.close(*call, is_range)?;
    }
    reader.end(is_range)?;
    Ok(vector)
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a [Token<'a>],
}

impl Reader<'_> {
    /// All that opens before the selector. No recursion, since a text may open any number.
    fn calls(&mut self) -> Result<Vec<Call>, Refusal> {
        let mut calls = Vec::new();
        loop {
            let (call, rest) = match self.rest {
                [(_, Sign("(")), rest @ ..] => (Call::Parentheses, rest),
                [(_, Name(name)), (_, Sign("(")), rest @ ..] => (Call::named(name)?, rest),
                _ => return Ok(calls),
            };
            calls.push(call);
            self.rest = rest;
        }
    }

    fn vector(&mut self) -> Result<Vector, Refusal> {
        let (vector, rest) = match self.rest {
            [(_, Name(_)), (at, Labels(Vector { name: Some(_), .. })), ..] => {
                return Err(self.fault_at(*at, "expected the metric's name only once"));
            }
            [(_, Name(name)), (_, Labels(labels)), rest @ ..] => (named(name, labels.clone()), rest),
            [(_, Name(name)), rest @ ..] => (named(name, Vector::default()), rest),
            [(_, Labels(labels)), rest @ ..] => (labels.clone(), rest),
            [(_, Number(_) | Text | Sign("+" | "-")), ..] => return Err(Refusal::Unmeasurable),
            _ => return Err(self.fault("expected a metric")),
        };
        self.rest = rest;
        Ok(vector)
    }

    /// Whether a range follows.
    fn range(&mut self) -> Result<bool, Refusal> {
        match self.rest {
            [(_, Sign("[")), (_, Number(seconds)), (_, Sign("]")), rest @ ..] if *seconds > 0.0 => {
                self.rest = rest;
                Ok(true)
            }
            [(_, Sign("[")), (at, Sign("]")), ..] | [(_, Sign("[")), (at, Number(_)), (_, Sign("]")), ..] => {
                Err(self.fault_at(*at, "expected a duration longer than nothing"))
            }
            [(_, Sign("[")), ..] => Err(Refusal::Unmeasurable),
            _ => Ok(false),
        }
    }

    /// Whether the call has a range in it once it is closed.
    fn close(&mut self, call: Call, is_range: bool) -> Result<bool, Refusal> {
        let [(_, Sign(")")), rest @ ..] = self.rest else {
            return Err(self.unexpected("expected `)`"));
        };
        let is_range = match (call, is_range) {
            (Call::Parentheses, is_range) => is_range,
            (Call::Sum, false) | (Call::Change, true) => false,
            (Call::Sum, true) => return Err(self.fault("expected rate() or increase() around a range")),
            (Call::Change, false) => return Err(self.fault("expected a range such as `[5m]`")),
        };
        self.rest = rest;
        Ok(is_range)
    }

    fn end(&self, is_range: bool) -> Result<(), Refusal> {
        match (self.rest, is_range) {
            ([], false) => Ok(()),
            ([], true) => Err(Refusal::Unmeasurable),
            _ => Err(self.unexpected("expected the end")),
        }
    }

    /// What another word says than the expected one.
    fn unexpected(&self, expected: &str) -> Refusal {
        let is_other_query = match self.rest {
            [(_, Name(name)), ..] => KEYWORDS.iter().any(|keyword| name.eq_ignore_ascii_case(keyword)),
            [(_, Sign(sign)), ..] => !["(", ")", "]", ","].contains(sign),
            _ => false,
        };
        if is_other_query {
            return Refusal::Unmeasurable;
        }
        self.fault(expected)
    }

    fn fault(&self, expected: &str) -> Refusal {
        let at = self.rest.first().map_or(self.text.len(), |(at, _)| *at);
        self.fault_at(at, expected)
    }

    fn fault_at(&self, at: usize, expected: &str) -> Refusal {
        Fault::at(self.text, at, expected).into()
    }
}

impl Call {
    fn named(name: &str) -> Result<Self, Refusal> {
        match name {
            "rate" | "increase" => Ok(Self::Change),
            // The name of an aggregation is a keyword, and those may be written in any case.
            name if name.eq_ignore_ascii_case("sum") => Ok(Self::Sum),
            _ => Err(Refusal::Unmeasurable),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(Fault(reason): Fault) -> Self {
        Self::NoQuery(reason)
    }
}

fn named(name: &str, labels: Vector) -> Vector {
    Vector {
        name: Some(name.to_owned()),
        ..labels
    }
}
