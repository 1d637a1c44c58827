//! Whether a model still describes the system: when most windows are like none it was made of, the system has moved on
//! and it is time to learn again.

use std::collections::VecDeque;

use crate::{classify::Verdict, order::median};

/// How many of the last windows are looked at.
const WINDOWS: usize = 60;
/// Fewer than this say nothing yet.
const LEAST_WINDOWS: usize = 20;

/// The distances of the last windows.
#[derive(Debug, Clone, Default)]
pub struct Drift(VecDeque<f64>);

impl Drift {
    /// Takes one more window into account. Windows that were not measured say nothing about the system.
    pub fn observe(&mut self, verdict: &Verdict) {
        if let Verdict::Measured(classified) = verdict {
            self.0.push_back(classified.distance_ratio);
            if self.0.len() > WINDOWS {
                self.0.pop_front();
            }
        }
    }

    /// Whether most of the last windows were outside every cluster. A fault that lasts looks the same: what was not in
    /// the training is not known to be one or the other.
    pub fn has_drifted(&self) -> bool {
        self.0.len() >= LEAST_WINDOWS && median(self.0.iter().copied().collect()) > 1.0
    }
}
