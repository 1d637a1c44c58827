//! What a manifest says about this probe.

use probe::{Failure, Probe, loader::Loader, range::at_least_1};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kernel::Exits;

/// What is counted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// Pairs of control group and end that are counted at once; those beyond are counted as lost.
    #[serde(default = "default_max_ends")]
    pub max_ends: u32,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Each thread that ends is taken for a process.
    EveryThread,
}

fn default_max_ends() -> u32 {
    1024
}

impl probe::Spec for Spec {
    fn check(&self) -> Result<(), String> {
        at_least_1("maxEnds", self.max_ends)
    }

    fn control(&self) -> Option<&str> {
        self.control.map(|Control::EveryThread| "every-thread")
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        Ok(Box::new(Exits::attach(loader, self)?))
    }
}
