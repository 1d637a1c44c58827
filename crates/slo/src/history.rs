//! Readings one after another, bounded: the newer, the closer together. And as text, to be served or kept in a file.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
};

use crate::{
    duration::Milliseconds,
    scrape::{Names, Scrape},
};

/// A reading that is this many times older than its distance to its neighbours is close enough to them.
const FINENESS: Milliseconds = 128;

/// Readings, oldest first.
#[derive(Debug, Clone)]
pub struct History {
    scrapes: VecDeque<Scrape>,
    longest_ms: Milliseconds,
    step_ms: Milliseconds,
}

/// Why a recording cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordingError {
    /// A part of it is no metrics.
    #[error("exposition {number} of the recording: {reason}")]
    Unreadable {
        /// Which part, from 1.
        number: usize,
        /// Why.
        reason: String,
    },
    /// A part of it does not say when it was made.
    #[error(
        "exposition {number} of the recording has no timestamps; each sample needs one, in seconds since 1970"
    )]
    NoTime {
        /// Which part, from 1.
        number: usize,
    },
    /// It has no whole part.
    #[error("the recording holds no whole exposition; each ends with a line `# EOF`")]
    Empty,
}

impl History {
    /// An empty history that reaches back `longest_ms` and keeps readings of the near past `step_ms` apart.
    pub fn new(longest_ms: Milliseconds, step_ms: Milliseconds) -> Self {
        Self {
            scrapes: VecDeque::new(),
            longest_ms,
            step_ms,
        }
    }

    /// Adds a reading. One that is not newer than the last is left out.
    pub fn push(&mut self, mut scrape: Scrape) {
        if let Some(last) = self.scrapes.back() {
            if scrape.time_ms <= last.time_ms {
                return;
            }
            scrape.share_keys(last);
        }
        self.scrapes.push_back(scrape);
        self.thin_out();
    }

    /// Whether there is no reading.
    pub fn is_empty(&self) -> bool {
        self.scrapes.is_empty()
    }

    /// The readings, oldest first.
    pub fn scrapes(&self) -> Vec<&Scrape> {
        self.scrapes.iter().collect()
    }

    /// Drops what is older than the longest window needs, and of the rest what has a neighbour on both sides that is
    /// near enough for its age. The number of readings so grows with the logarithm of the window.
    fn thin_out(&mut self) {
        let Some(now_ms) = self.scrapes.back().map(|last| last.time_ms) else {
            return;
        };
        // The newest reading before the window's start stays: the window begins there.
        while self.scrapes.len() > 2 && self.scrapes[1].time_ms <= now_ms - self.longest_ms {
            self.scrapes.pop_front();
        }
        let mut at = 1;
        while at + 1 < self.scrapes.len() {
            let before_ms = self.scrapes[at - 1].time_ms;
            let gap_ms = self.scrapes[at + 1].time_ms - before_ms;
            if gap_ms <= self.step_ms.max((now_ms - before_ms) / FINENESS) {
                self.scrapes.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// All readings as text: OpenMetrics expositions one after another, each sample with its time.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for scrape in &self.scrapes {
            // Writing to a String does not fail.
            let _ = write_scrape(&mut text, scrape);
        }
        text
    }

    /// Reads what [`Self::to_text`] wrote, or expositions with times that were appended to a file. A last one without
    /// its `# EOF` was cut off while it was written, and is left out.
    ///
    /// # Errors
    /// See [`RecordingError`].
    pub fn read(
        text: &str,
        longest_ms: Milliseconds,
        step_ms: Milliseconds,
        names: &Names,
    ) -> Result<Self, RecordingError> {
        const UNTIMED: Milliseconds = Milliseconds::MIN;
        let mut history = Self::new(longest_ms, step_ms);
        let mut part = String::new();
        let mut number = 0;
        for line in text.lines() {
            part.push_str(line);
            part.push('\n');
            if line != "# EOF" {
                continue;
            }
            number += 1;
            let scrape = Scrape::read(&part, UNTIMED, names).map_err(|error| RecordingError::Unreadable {
                number,
                reason: error.to_string(),
            })?;
            if scrape.time_ms == UNTIMED {
                return Err(RecordingError::NoTime { number });
            }
            history.push(scrape);
            part.clear();
        }
        if history.scrapes.is_empty() {
            return Err(RecordingError::Empty);
        }
        Ok(history)
    }
}

fn write_scrape(text: &mut String, scrape: &Scrape) -> fmt::Result {
    let seconds = scrape.time_ms as f64 / 1e3;
    let mut family = "";
    for (key, value) in &scrape.points {
        if key.name != family {
            writeln!(text, "# TYPE {} unknown", key.name)?;
            family = &key.name;
        }
        text.push_str(&key.name);
        for (index, (label, value)) in key.labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let value = value
                .replace('\\', r"\\")
                .replace('"', r#"\""#)
                .replace('\n', r"\n");
            write!(text, "{before}{label}=\"{value}\"")?;
        }
        if !key.labels.is_empty() {
            text.push('}');
        }
        writeln!(text, " {value} {seconds}")?;
    }
    text.push_str("# EOF\n");
    Ok(())
}
