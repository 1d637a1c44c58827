//! When to warn: burn rates, that is, how many times faster than allowed the error budget is used up.

use crate::duration::Milliseconds;

/// One condition on the burn rate.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// What it is called, where the file gives it a name.
    pub name: Option<String>,
    /// How urgent it is.
    pub severity: Severity,
    /// The burn rate from which on it fires; at 1 the budget lasts exactly the objective's window.
    pub threshold: f64,
    /// Whether a burn rate equal to the threshold fires.
    pub or_equal: bool,
    /// Over how long the burn rate is taken.
    pub long_ms: Milliseconds,
    /// A shorter time over which it must hold too, so that the alert ends soon after the cause.
    pub short_ms: Option<Milliseconds>,
    /// For how long it must hold.
    pub hold_ms: Milliseconds,
}

/// How urgent an alert is: a word that routes it.
pub type Severity = String;

const HOUR_MS: Milliseconds = 3_600_000;
const MONTH_MS: Milliseconds = 30 * 24 * HOUR_MS;

/// Part of the budget used, in percent; within this time; while it is still going on in this time; severity. The
/// recommendation of Google's SRE Workbook, chapter "Alerting on SLOs", for a window of 30 days.
const MULTIWINDOW: [(f64, Milliseconds, Milliseconds, &str); 4] = [
    (2.0, HOUR_MS, HOUR_MS / 12, "page"),
    (5.0, 6 * HOUR_MS, HOUR_MS / 2, "page"),
    (10.0, 24 * HOUR_MS, 2 * HOUR_MS, "ticket"),
    (10.0, 3 * 24 * HOUR_MS, 6 * HOUR_MS, "ticket"),
];

impl AlertRule {
    /// The recommended conditions, their times in proportion to the objective's window, and last the budget itself:
    /// over the whole window, all of it is used. Times are not rounded to minutes: of a short window some become so
    /// short that nothing was sampled in them, and whoever evaluates them has to say so.
    pub fn recommended(window_ms: Milliseconds) -> Vec<Self> {
        let scaled = |part_ms: Milliseconds| {
            let exact = i128::from(window_ms) * i128::from(part_ms) / i128::from(MONTH_MS);
            // A part of a duration that fits does fit.
            Milliseconds::try_from(exact).unwrap_or(Milliseconds::MAX).max(1)
        };
        let burning = MULTIWINDOW.map(|(percent, long_ms, short_ms, severity)| Self {
            name: None,
            severity: severity.to_owned(),
            threshold: percent / 100.0 * (MONTH_MS / long_ms) as f64,
            or_equal: false,
            long_ms: scaled(long_ms),
            short_ms: Some(scaled(short_ms)),
            hold_ms: 0,
        });
        let spent = Self {
            name: None,
            severity: "ticket".to_owned(),
            threshold: 1.0,
            or_equal: false,
            long_ms: window_ms,
            short_ms: None,
            hold_ms: 0,
        };
        burning.into_iter().chain([spent]).collect()
    }

    /// The times over which it needs the burn rate.
    pub fn windows_ms(&self) -> impl Iterator<Item = Milliseconds> {
        [Some(self.long_ms), self.short_ms].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_the_recommended_factors() {
        let rules = AlertRule::recommended(MONTH_MS);
        let factors: Vec<f64> = rules.iter().map(|rule| rule.threshold).collect();
        assert_eq!(factors, [14.4, 6.0, 3.0, 1.0, 1.0]);
        assert_eq!(rules[0].long_ms, HOUR_MS);
        assert_eq!(rules[0].short_ms, Some(300_000));
    }

    #[test]
    fn a_minute_is_not_rounded_to_nothing() {
        let rules = AlertRule::recommended(60_000);
        let times: Vec<_> = rules.iter().map(|rule| (rule.long_ms, rule.short_ms)).collect();
        assert_eq!(
            times,
            [
                (83, Some(6)),
                (500, Some(41)),
                (2000, Some(166)),
                (6000, Some(500)),
                (60_000, None)
            ]
        );
    }
}
