//! The share of events that must be good, compared without rounding.

/// One in this many events is the finest share that can be asked for.
const WHOLE: u64 = 1_000_000_000;

/// The share of events that must be good: at least 0, less than 1, since an objective of 1 has no error budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    parts_per_billion: u64,
}

impl Target {
    /// From a ratio, 0.995 for instance.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_ratio(ratio: f64) -> Result<Self, String> {
        Self::from_parts(ratio * WHOLE as f64).ok_or_else(|| {
            format!("{ratio} is no target: it is at least 0 and less than 1, with nine decimals at most")
        })
    }

    /// From a percentage, 99.5 for instance.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_percent(percent: f64) -> Result<Self, String> {
        Self::from_parts(percent * (WHOLE / 100) as f64).ok_or_else(|| {
            format!(
                "{percent} % is no target: it is at least 0 and less than 100, with seven decimals at most; 100 % would \
                 leave no error budget"
            )
        })
    }

    fn from_parts(parts: f64) -> Option<Self> {
        let whole = parts.round();
        // A decimal number has no exact binary form; what is left after rounding tells a decimal too many from that.
        let is_whole = (parts - whole).abs() < 1e-3;
        let parts_per_billion = whole as u64;
        (is_whole && whole >= 0.0 && parts_per_billion < WHOLE).then_some(Self { parts_per_billion })
    }

    /// As a ratio.
    pub fn ratio(self) -> f64 {
        self.parts_per_billion as f64 / WHOLE as f64
    }

    /// As a percentage.
    pub fn percent(self) -> f64 {
        self.parts_per_billion as f64 / (WHOLE / 100) as f64
    }

    /// The share of events that may be bad.
    pub fn budget_ratio(self) -> f64 {
        (WHOLE - self.parts_per_billion) as f64 / WHOLE as f64
    }

    /// Whether `good` events of `total` are enough. Of nothing, nothing is enough.
    pub fn is_met(self, good: u64, total: u64) -> bool {
        u128::from(good) * u128::from(WHOLE) >= u128::from(self.parts_per_billion) * u128::from(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_itself_is_met() {
        let target = Target::from_percent(99.9).unwrap();
        assert!(target.is_met(999, 1000));
        assert!(!target.is_met(998, 1000));
        assert!(!target.is_met(998_999, 1_000_000));
        assert!(target.is_met(0, 0));
        assert_eq!(target, Target::from_ratio(0.999).unwrap());
        assert_eq!(target.percent(), 99.9);
        assert_eq!(target.budget_ratio(), 0.001);
    }

    #[test]
    fn what_is_no_target_says_so() {
        for percent in [100.0, -0.1, 101.0, f64::NAN, f64::INFINITY, 99.999_999_99] {
            assert!(Target::from_percent(percent).is_err(), "{percent}");
        }
        assert!(Target::from_percent(0.0).is_ok());
        assert!(Target::from_ratio(1.0).is_err());
    }
}
