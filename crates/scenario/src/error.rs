//! The one error of a scenario file: what is wrong, where, and what was probably meant.

use std::{ops::Range, sync::Arc};

use miette::{Diagnostic, NamedSource, SourceSpan};

/// A scenario file that cannot be used. Its text opens with `FILE:LINE:COLUMN:`; as a miette diagnostic it
/// also shows the place and help.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ScenarioError {
    /// File name as it was given to [`crate::Scenario::parse`].
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: Arc<NamedSource<String>>,
    #[label("here")]
    place: SourceSpan,
}

impl ScenarioError {
    /// What may help, such as the name that was probably meant.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// An error that does not know its file yet.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Fault {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Help for a name that is none of `known`.
    pub(crate) fn known<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(name, known.iter().copied()) {
            Some(meant) => self.help(format!("did you mean `{meant}`?")),
            None if known.is_empty() => self.help("there is none here"),
            None => self.help(format!("known here: {}", known.join(", "))),
        }
    }

    pub(crate) fn in_file(self, file: &str, text: &str) -> ScenarioError {
        let start = self.span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ScenarioError {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: self.message,
            help: self.help,
            source_code: Arc::new(NamedSource::new(file, text.to_owned())),
            place: (start, self.span.end.saturating_sub(start)).into(),
        }
    }
}

impl From<toml::de::Error> for Fault {
    /// Serde says `unknown field `x`, expected one of `a`, `b``: the names in backticks are the material for
    /// the suggestion.
    fn from(error: toml::de::Error) -> Self {
        let message = error.message();
        let fault = Fault::new(error.span().unwrap_or(0..0), message);
        let mut quoted = message.split('`').skip(1).step_by(2);
        for (opening, what) in [("unknown field", "key"), ("unknown variant", "value")] {
            if message.starts_with(opening)
                && let Some(name) = quoted.next()
            {
                return Fault::new(fault.span, format!("unknown {what} `{name}`")).known(name, quoted);
            }
        }
        fault
    }
}

/// The known name that is most like `name`, if any is like it.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.55;
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
