//! What is wrong with a text, and where. It does not judge; it only words.

use crate::Unreadable;

/// A line of the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) text: &'a str,
}

/// A line with what is wrong with it.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    place: Place<'a>,
    reason: String,
}

impl<'a> Place<'a> {
    pub(crate) fn fault(self, reason: impl Into<String>) -> Fault<'a> {
        Fault {
            place: self,
            reason: reason.into(),
        }
    }
}

impl From<Fault<'_>> for Unreadable {
    fn from(fault: Fault<'_>) -> Self {
        /// What is no metrics can be one line of a megabyte; evidence has room for its beginning.
        const LONGEST: usize = 160;
        let Fault { place, reason } = fault;
        let mut letters = place.text.chars();
        let mut text: String = letters.by_ref().take(LONGEST).collect();
        if letters.next().is_some() {
            text.push('…');
        }
        Self(format!("line {}, `{text}`: {reason}", place.number))
    }
}
