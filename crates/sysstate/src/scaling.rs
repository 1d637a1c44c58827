//! From the units of features to one that they share.
//!
//! A value is replaced by its square root, then moved and stretched so that the training windows have mean 0 and
//! deviation 1. The root is there because the spread of a count grows with it: that of its root does not (Bartlett, "The
//! Square Root Transformation in Analysis of Variance", 1936; Anscombe 1948). A logarithm would do as well, but IEEE 754
//! promises the same bits on every machine for a square root and for no logarithm.

/// How one feature is scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Mean of the square roots.
    pub centre: f64,
    /// Their standard deviation, or that of the least change that means something.
    pub scale: f64,
}

impl Scaling {
    /// Fits the training values of a feature. They are added up in their order.
    pub(crate) fn fit(values: &[f64], least: f64) -> Self {
        let count = values.len() as f64;
        let centre = values.iter().map(|value| root(*value)).sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|value| root(*value) - centre)
            .map(|off| off * off)
            .sum::<f64>()
            / count;
        Self {
            centre,
            scale: variance.sqrt().max(least.sqrt()),
        }
    }

    /// In units of the training windows' deviation.
    pub fn scaled(&self, value: f64) -> f64 {
        (root(value) - self.centre) / self.scale
    }

    /// Back in the unit of the feature.
    pub fn unscaled(&self, scaled: f64) -> f64 {
        let root = (scaled * self.scale + self.centre).max(0.0);
        root * root
    }
}

/// No feature is negative; a value that is all the same is as good as none.
fn root(value: f64) -> f64 {
    value.max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_become_0_and_1() {
        // Roots 1, 3, 5: mean 3, deviation sqrt(8/3).
        let scaling = Scaling::fit(&[1.0, 9.0, 25.0], 0.1);
        assert_eq!(scaling.centre, 3.0);
        assert!((scaling.scale - (8.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(scaling.scaled(9.0), 0.0);
        assert!((scaling.unscaled(scaling.scaled(25.0)) - 25.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_feature_is_scaled_by_the_least_change() {
        let scaling = Scaling::fit(&[0.0, 0.0], 0.25);
        assert_eq!((scaling.centre, scaling.scale), (0.0, 0.5));
        assert_eq!(scaling.scaled(0.0), 0.0);
        assert_eq!(scaling.scaled(0.25), 1.0);
    }
}
