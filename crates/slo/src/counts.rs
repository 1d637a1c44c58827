//! Events by how they went, and the interval of ratios that the unknown ones leave open.

use serde::Serialize;

/// Events of a window. An unknown event may have been good, bad, or none at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events that were as wanted.
    pub good: u64,
    /// Events that were not.
    pub bad: u64,
    /// Events whose outcome nobody saw, and hook hits that may have been one.
    pub unknown: u64,
}

/// From the least to the greatest value that the counts allow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Every unknown event was bad, for a ratio of good events; good, for a ratio of bad ones.
    pub lo: f64,
    /// The other way round.
    pub hi: f64,
}

impl Counts {
    /// Events with a known outcome.
    pub fn known(self) -> u64 {
        self.good + self.bad
    }

    /// All events that there may have been.
    pub fn all(self) -> u64 {
        self.good + self.bad + self.unknown
    }

    /// The share of good events; `None` when there may have been none at all.
    pub fn good_ratio(self) -> Option<Interval> {
        self.share_of(self.good)
    }

    /// The share of bad events.
    pub fn bad_ratio(self) -> Option<Interval> {
        self.share_of(self.bad)
    }

    fn share_of(self, part: u64) -> Option<Interval> {
        let all = self.all();
        (all > 0).then(|| Interval {
            lo: part as f64 / all as f64,
            hi: (part + self.unknown) as f64 / all as f64,
        })
    }
}

impl Interval {
    /// Both ends times a factor that is not negative.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self {
            lo: self.lo * factor,
            hi: self.hi * factor,
        }
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            good: self.good + other.good,
            bad: self.bad + other.bad,
            unknown: self.unknown + other.unknown,
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, counts| sum + counts)
    }
}
