//! The bounds of the duration histograms: those that OpenTelemetry advises, and a few that an objective asks about.

use probe::histogram::{HTTP_BOUNDS_SECONDS, bound_ns};

use crate::types::HTTP_BOUNDS;

/// How many bounds a manifest may add.
pub const MAX_EXTRA_BOUNDS: usize = HTTP_BOUNDS as usize - HTTP_BOUNDS_SECONDS.len();

/// Rising bounds in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds(Vec<f64>);

impl Default for Bounds {
    fn default() -> Self {
        Self(HTTP_BOUNDS_SECONDS.to_vec())
    }
}

impl Bounds {
    /// The advised bounds and these. One that is there already is no mistake.
    ///
    /// # Errors
    /// What would be right, in words.
    pub fn with(extra_seconds: &[f64]) -> Result<Self, String> {
        let mut bounds = Self::default().0;
        for bound in extra_seconds {
            if !(bound.is_finite() && (1e-6..=3600.0).contains(bound)) {
                return Err("`bucketBoundsSeconds` holds numbers from 0.000001 to 3600".to_owned());
            }
            if !bounds.iter().any(|known| bound_ns(*known) == bound_ns(*bound)) {
                bounds.push(*bound);
            }
        }
        if bounds.len() > HTTP_BOUNDS as usize {
            return Err(format!(
                "`bucketBoundsSeconds` adds at most {MAX_EXTRA_BOUNDS} bounds to the {} that are there",
                HTTP_BOUNDS_SECONDS.len()
            ));
        }
        bounds.sort_by(f64::total_cmp);
        Ok(Self(bounds))
    }

    /// In seconds.
    pub fn seconds(&self) -> &[f64] {
        &self.0
    }

    /// In nanoseconds, for the kernel half. Places that are not needed hold what no duration exceeds, so that the bucket
    /// after the last bound is the one without an upper bound.
    pub(crate) fn padded_ns(&self) -> [u64; HTTP_BOUNDS as usize] {
        let mut padded = [u64::MAX; HTTP_BOUNDS as usize];
        for (place, bound) in padded.iter_mut().zip(&self.0) {
            *place = bound_ns(*bound);
        }
        padded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_put_in_its_place_once() {
        let bounds = Bounds::with(&[0.15, 0.1, 0.15]).unwrap();
        assert_eq!(bounds.seconds().len(), HTTP_BOUNDS_SECONDS.len() + 1);
        assert_eq!(bounds.seconds()[5..8], [0.1, 0.15, 0.25]);
        let padded = bounds.padded_ns();
        assert_eq!(padded[6], 150_000_000);
        assert_eq!(padded[bounds.seconds().len()..], [u64::MAX; MAX_EXTRA_BOUNDS - 1]);
    }

    #[test]
    fn too_many_and_none_at_all() {
        assert!(Bounds::with(&[0.2, 0.3, 0.4, 0.6]).is_ok());
        assert!(
            Bounds::with(&[0.2, 0.3, 0.4, 0.6, 0.8])
                .unwrap_err()
                .contains("at most 4")
        );
        for bound in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(Bounds::with(&[bound]).is_err(), "{bound}");
        }
        assert_eq!(Bounds::with(&[]), Ok(Bounds::default()));
    }
}
