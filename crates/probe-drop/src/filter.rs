//! The filter.

use probe::{Failure, Probe, loader::Loader};
use serde::Deserialize;

/// What a manifest says about this probe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {}

impl probe::Spec for Spec {
    fn start(&self, _loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        Err("this probe is not built yet".into())
    }
}
