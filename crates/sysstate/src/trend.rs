//! Where traffic is going: a warning when it builds up so that it will reach a limit, before it does.
//!
//! A build-up is told from a step (a deploy) and from a peak (a scheduled job) by its evenness: it rises in the first
//! half of the last windows and in the second one, too. A step or a peak is in one of them and leaves the other one flat.
//!
//! - *Does it rise?* The Mann-Kendall test (Mann, "Nonparametric tests against trend", Econometrica 13, 1945; Kendall,
//!   "Rank Correlation Methods") counts how many pairs of windows are in rising order, and how likely so many are by
//!   chance, exactly. It is asked of all windows and of each half. Neither the shape of the rise nor a single odd window
//!   matters much to it.
//! - *How fast?* The slope of Theil and Sen (Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA
//!   63, 1968), the median of all pairwise slopes, of the half that rises less.
//! - Both on the logarithm, on which an attack that doubles every so often is a straight line; one that grows evenly is
//!   bent, and warned of a little earlier for it. `libm`'s logarithm is the same on every machine.
//!
//! The price is a delay: it takes twelve windows of a rise to call it one.

use std::collections::VecDeque;

use crate::order::median;

/// How many windows are looked at.
const WINDOWS: usize = 12;
const HALF: usize = WINDOWS / 2;
/// How unlikely the order of all windows must be without a rise.
const CHANCE_OF_ALL: f64 = 0.01;
/// The same of each half; less strict, because six windows cannot say much: two pairs of fifteen may fall.
const CHANCE_OF_HALF: f64 = 0.03;
/// The half that rises less must rise at this share of the slope of all windows. The tail of a step that came in several
/// windows does not.
const EVEN: f64 = 0.6;
/// It must rise at this share of the slope of the other half. After a step to close below the limit, chance alone can
/// make the flat half rise a little.
const EVEN_HALVES: f64 = 0.4;

/// What traffic must not reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Packets per second.
    pub per_second: f64,
    /// How many windows ahead is warned.
    pub horizon_windows: f64,
}

impl Limit {
    /// How many windows ahead is warned, if nothing else is said: as many as are looked back on.
    pub const HORIZON_WINDOWS: f64 = WINDOWS as f64;
}

/// What traffic does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Course {
    /// Nothing that leads to the limit.
    Calm,
    /// It builds up and will be at the limit.
    Warning {
        /// In so many windows, if it goes on like this.
        windows_to_limit: f64,
    },
    /// It is there.
    Over,
}

impl Course {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Warning { .. } => "warning",
            Self::Over => "over",
        }
    }
}

/// The last windows.
#[derive(Debug, Clone)]
pub struct Trend {
    limit: Limit,
    /// Logarithms, the oldest first.
    levels: VecDeque<f64>,
}

impl Trend {
    /// Nothing seen yet.
    pub fn new(limit: Limit) -> Self {
        Self {
            limit,
            levels: VecDeque::with_capacity(WINDOWS + 1),
        }
    }

    /// Takes one more window into account. After one that was not measured it begins anew: what happened meanwhile is
    /// not known, and a step would be taken for a rise.
    pub fn observe(&mut self, per_second: Option<f64>) -> Course {
        let Some(per_second) = per_second.filter(|rate| rate.is_finite() && *rate >= 0.0) else {
            self.levels.clear();
            return Course::Calm;
        };
        self.levels.push_back(libm::log1p(per_second));
        if self.levels.len() > WINDOWS {
            self.levels.pop_front();
        }
        if per_second >= self.limit.per_second {
            return Course::Over;
        }
        let levels: Vec<f64> = self.levels.iter().copied().collect();
        match windows_to(&levels, libm::log1p(self.limit.per_second)) {
            Some(windows_to_limit) if windows_to_limit <= self.limit.horizon_windows => {
                Course::Warning { windows_to_limit }
            }
            _ => Course::Calm,
        }
    }
}

/// In how many windows a steady rise reaches the limit; `None` when there is none.
fn windows_to(levels: &[f64], limit: f64) -> Option<f64> {
    if levels.len() < WINDOWS {
        return None;
    }
    let (first, second) = levels.split_at(HALF);
    let is_steady = chance_of(levels) <= CHANCE_OF_ALL
        && chance_of(first) <= CHANCE_OF_HALF
        && chance_of(second) <= CHANCE_OF_HALF;
    let slopes = [slope(first), slope(second)];
    let (slower, faster) = (slopes[0].min(slopes[1]), slopes[0].max(slopes[1]));
    let is_even = slower >= EVEN * slope(levels) && slower >= EVEN_HALVES * faster;
    if !is_steady || slower <= 0.0 || !is_even {
        return None;
    }
    // From the middle of the second half, where its median is the level: a peak at the end is not taken for it.
    let ahead = (limit - median(second.to_vec())) / slower - (HALF - 1) as f64 / 2.0;
    Some(ahead.max(0.0))
}

fn pairs(values: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    (0..values.len())
        .flat_map(move |from| (from + 1..values.len()).map(move |to| (to - from, values[to] - values[from])))
}

/// Theil and Sen's slope.
fn slope(values: &[f64]) -> f64 {
    median(pairs(values).map(|(steps, rise)| rise / steps as f64).collect())
}

/// How likely it is by chance that at least as many pairs more rise than fall. Ties make it less likely than this says,
/// never more.
fn chance_of(values: &[f64]) -> f64 {
    let score: i64 = pairs(values)
        .map(|(_, rise)| i64::from(rise > 0.0) - i64::from(rise < 0.0))
        .sum();
    let most = values.len() * values.len().saturating_sub(1) / 2;
    // score = rising - falling, and falling pairs are the inversions of the order.
    let inversions = (most as i64 - score).max(0) as usize / 2;
    let orders = orders_by_inversions(values.len());
    let all: f64 = orders.iter().sum();
    orders[..=inversions.min(most)].iter().sum::<f64>() / all
}

/// How many orders of so many things have 0, 1, 2… inversions.
fn orders_by_inversions(things: usize) -> Vec<f64> {
    let mut orders = vec![1.0];
    for thing in 1..things {
        // One more thing can stand before 0 to `thing` of those that are there.
        let mut next = vec![0.0; orders.len() + thing];
        for (inversions, count) in orders.iter().enumerate() {
            for added in 0..=thing {
                next[inversions + added] += count;
            }
        }
        orders = next;
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tables of Kendall's statistic.
    #[test]
    fn chances_are_those_of_the_tables() {
        assert_eq!(orders_by_inversions(4), [1.0, 3.0, 5.0, 6.0, 5.0, 3.0, 1.0]);
        let close = |values: &[f64], chance: f64| {
            let found = chance_of(values);
            assert!((found - chance).abs() < 5e-4, "{found}, {chance} in the table");
        };
        close(&[1.0, 2.0, 3.0, 4.0], 0.042);
        close(&[1.0, 2.0, 4.0, 3.0], 0.167);
        close(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0083);
        // Six things: S = 9 has 0.068, S = 11 has 0.028.
        close(&[2.0, 1.0, 3.0, 5.0, 4.0, 6.0], 0.028);
        close(&[2.0, 1.0, 4.0, 3.0, 6.0, 5.0], 0.068);
        close(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 1.0);
        // All tied: half of the pairs count as falling.
        assert!(chance_of(&[1.0; 6]) > 0.4);
    }

    #[test]
    fn one_odd_window_does_not_bend_the_slope() {
        assert_eq!(slope(&[0.0, 2.0, 4.0, 6.0]), 2.0);
        assert!((slope(&[0.0, 2.0, 400.0, 6.0, 8.0, 10.0]) - 2.0).abs() < 0.7);
    }
}
