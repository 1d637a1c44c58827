//! Windows over readings: which of them a window begins and ends with, and what happened in between.

use crate::{Indicator, counts::Counts, duration::Milliseconds, scrape::Scrape};

/// What happened from one reading to the next, reading after reading.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    /// When each reading was made, rising; one more than there are steps.
    edges_ms: Vec<Milliseconds>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    counts: Counts,
    is_restarted: bool,
}

/// A stretch of time between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) from_ms: Milliseconds,
    pub(crate) to_ms: Milliseconds,
    pub(crate) counts: Counts,
    /// How often the process that counts was started anew. What it had counted since the reading before is gone.
    pub(crate) restarts: usize,
}

impl Steps {
    /// The steps between readings, which must be in order.
    pub(crate) fn new(indicator: &Indicator, scrapes: &[&Scrape]) -> Self {
        let steps = scrapes.windows(2).map(|pair| Step {
            counts: indicator.counts(pair[0], pair[1]),
            is_restarted: pair[1].is_restarted_since(pair[0]),
        });
        Self {
            edges_ms: scrapes.iter().map(|scrape| scrape.time_ms).collect(),
            steps: steps.collect(),
        }
    }

    /// When the last reading was made; `None` when there is none.
    pub(crate) fn end_ms(&self) -> Option<Milliseconds> {
        self.edges_ms.last().copied()
    }

    /// What happened between the readings that are nearest to two times. A reading on the edge belongs to both sides:
    /// what happened before it is before the edge. `None` when that is one and the same reading: there was no look
    /// into this window.
    pub(crate) fn window(&self, from_ms: Milliseconds, to_ms: Milliseconds) -> Option<Window> {
        let (first, last) = (self.nearest(from_ms)?, self.nearest(to_ms)?);
        let steps = self.steps.get(first..last)?;
        (first < last).then(|| Window {
            from_ms: self.edges_ms[first],
            to_ms: self.edges_ms[last],
            counts: steps.iter().map(|step| step.counts).sum(),
            restarts: steps.iter().filter(|step| step.is_restarted).count(),
        })
    }

    /// Windows of one length, back to back, the newest ending with the last reading and the oldest where a whole one
    /// still fits into the readings.
    pub(crate) fn slices(&self, from_ms: Milliseconds, slice_ms: Milliseconds) -> Vec<Window> {
        let Some(end_ms) = self.end_ms() else {
            return Vec::new();
        };
        let starts = (1..).map(|number| end_ms - number * slice_ms);
        let starts = starts.take_while(|start_ms| *start_ms >= from_ms);
        starts
            .filter_map(|start_ms| self.window(start_ms, start_ms + slice_ms))
            .collect()
    }

    fn nearest(&self, time_ms: Milliseconds) -> Option<usize> {
        let distance = |at: &usize| (self.edges_ms[*at] - time_ms).abs();
        (0..self.edges_ms.len()).min_by_key(distance)
    }
}
