//! What is known of a time: whether it was good or bad, and what was the matter.
//!
//! ```text
//! # FROM TO good|bad [NAME], in seconds of the recording's clock
//! 0    60   good
//! 60   90   bad    exec-storm
//! ```

use serde::{Deserialize, Serialize};

use crate::window::Window;

/// Whether a system does what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Worth {
    /// It does.
    Good,
    /// It does not.
    Bad,
}

impl Worth {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// What is said of a window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Good or bad.
    pub worth: Worth,
    /// What it is called; that of its worth when nobody gave it another name.
    pub name: String,
}

impl Label {
    /// A label without a name of its own.
    pub fn of(worth: Worth) -> Self {
        Self {
            worth,
            name: worth.name().to_owned(),
        }
    }
}

/// Labels of times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schedule(Vec<(f64, f64, Label)>);

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}; a line is `FROM TO good|bad [NAME]`, times in seconds")]
pub struct LabelError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// See [`LabelError`].
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let mut entries = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            let words: Vec<&str> = content
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            if !words.is_empty() {
                entries.push(entry(&words).map_err(|reason| LabelError { line, reason })?);
            }
        }
        Ok(Self(entries))
    }

    /// The label of a window that lies within one entry and touches no other. One on the edge between two is of neither.
    pub fn label(&self, window: &Window) -> Option<&Label> {
        let mut touched = self
            .0
            .iter()
            .filter(|(from, to, _)| window.from_seconds < *to && window.to_seconds > *from);
        let (from, to, label) = touched.next()?;
        let is_within = window.from_seconds >= *from && window.to_seconds <= *to;
        (is_within && touched.next().is_none()).then_some(label)
    }
}

fn entry(words: &[&str]) -> Result<(f64, f64, Label), String> {
    let time = |word: &str| {
        let seconds: Option<f64> = word.parse().ok().filter(|seconds: &f64| seconds.is_finite());
        seconds.ok_or_else(|| format!("`{word}` is no time"))
    };
    let (from, to, worth, name) = match *words {
        [from, to, worth] => (from, to, worth, None),
        [from, to, worth, name] => (from, to, worth, Some(name)),
        _ => return Err(format!("{} words", words.len())),
    };
    let (from, to) = (time(from)?, time(to)?);
    if to <= from {
        return Err(format!("{to} is not after {from}"));
    }
    let worth = match worth {
        "good" => Worth::Good,
        "bad" => Worth::Bad,
        other => return Err(format!("`{other}` is neither good nor bad")),
    };
    let name = name.unwrap_or(worth.name()).to_owned();
    Ok((from, to, Label { worth, name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from_seconds: f64, to_seconds: f64) -> Window {
        Window {
            from_seconds,
            to_seconds,
            values: Default::default(),
        }
    }

    #[test]
    fn a_window_on_an_edge_has_no_label() {
        let schedule = Schedule::parse("# x\n0 10 good\n10 20 bad storm # y\n").unwrap();
        let name = |from, to| Some(schedule.label(&window(from, to))?.name.as_str());
        assert_eq!(name(0.0, 10.0), Some("good"));
        assert_eq!(name(10.0, 11.0), Some("storm"));
        assert_eq!(name(9.5, 10.5), None);
        assert_eq!(name(19.5, 20.5), None);
        assert_eq!(name(30.0, 31.0), None);
    }

    #[test]
    fn two_entries_about_one_window_say_nothing() {
        let schedule = Schedule::parse("0 10 good\n5 20 bad\n").unwrap();
        assert_eq!(schedule.label(&window(6.0, 7.0)), None);
        assert_eq!(schedule.label(&window(1.0, 2.0)), Some(&Label::of(Worth::Good)));
    }

    #[test]
    fn errors_have_a_line() {
        let error = |text| Schedule::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(error("0 1 good\n1 2 fine\n"), @"line 2: `fine` is neither good nor bad; a line is `FROM TO good|bad [NAME]`, times in seconds");
        insta::assert_snapshot!(error("5 5 good\n"), @"line 1: 5 is not after 5; a line is `FROM TO good|bad [NAME]`, times in seconds");
        insta::assert_snapshot!(error("5 soon good\n"), @"line 1: `soon` is no time; a line is `FROM TO good|bad [NAME]`, times in seconds");
        insta::assert_snapshot!(error("5\n"), @"line 1: 1 words; a line is `FROM TO good|bad [NAME]`, times in seconds");
    }
}
