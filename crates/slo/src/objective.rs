//! What is asked for: an objective, whichever file format it was written in.

use crate::{AlertRule, Indicator, Target, duration::Milliseconds};

/// One objective.
#[derive(Debug, Clone)]
pub struct Objective {
    /// What it is called. No two of a file are called the same within one service.
    pub name: String,
    /// Whose it is.
    pub service: String,
    /// How much must be good.
    pub target: Target,
    /// Over how long, up to now.
    pub window_ms: Milliseconds,
    /// What is counted.
    pub indicator: Indicator,
    /// What the budget is made of.
    pub budgeting: Budgeting,
    /// When to warn.
    pub alerts: Vec<AlertRule>,
}

/// What an error budget is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budgeting {
    /// Events.
    Occurrences,
    /// Slices of time. One is good when its share of good events reaches the target; one without events is good.
    Timeslices {
        /// How long a slice is.
        slice_ms: Milliseconds,
        /// What a slice must reach; may be 1.
        target: SliceTarget,
    },
    /// Slices of time that weigh the same, however many events they had. One without events weighs nothing.
    RatioTimeslices {
        /// How long a slice is.
        slice_ms: Milliseconds,
    },
}

/// What a slice of time must reach: unlike an objective, this may be everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SliceTarget {
    /// No bad event at all.
    All,
    /// A share of good events.
    Share(Target),
}

impl SliceTarget {
    /// Whether `good` events of `total` are enough.
    pub fn is_met(self, good: u64, total: u64) -> bool {
        match self {
            Self::All => good >= total,
            Self::Share(target) => target.is_met(good, total),
        }
    }

    /// As a ratio.
    pub fn ratio(self) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Share(target) => target.ratio(),
        }
    }
}

impl Budgeting {
    /// How long a slice of time is, where there are any.
    pub fn slice_ms(self) -> Option<Milliseconds> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices { slice_ms, .. } | Self::RatioTimeslices { slice_ms } => Some(slice_ms),
        }
    }
}
