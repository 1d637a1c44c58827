//! What a manifest says about this probe, and the probe as the daemon keeps it.

use std::time::Duration;

use probe::{Failure, Probe, loader::Loader, metrics::Families, range::at_least_1};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kernel::{Activity, Config},
    report,
};

/// How often counters of groups that are gone make room for new ones.
const SWEEP: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// Programs executed.
    #[serde(default = "default_true")]
    pub exec: bool,
    /// Files opened.
    #[serde(default = "default_true")]
    pub open: bool,
    /// System calls by class.
    #[serde(default = "default_true")]
    pub syscalls: bool,
    /// Control groups whose system calls are counted at once; calls of those beyond are counted as lost.
    #[serde(default = "default_max_cgroups")]
    pub max_cgroups: u32,
    /// Pairs of control group and result that are counted at once; those beyond are counted as lost.
    #[serde(default = "default_max_results")]
    pub max_results: u32,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// execve(2)'s beginning is taken for an exec: execveat(2) is missed, and failures count as successes.
    ExecveOnly,
}

fn default_true() -> bool {
    true
}

fn default_max_cgroups() -> u32 {
    1024
}

fn default_max_results() -> u32 {
    4096
}

impl probe::Spec for Spec {
    fn check(&self) -> Result<(), String> {
        if !(self.exec || self.open || self.syscalls) {
            return Err("one of `exec`, `open` and `syscalls` must be true".to_owned());
        }
        at_least_1("maxCgroups", self.max_cgroups)?;
        at_least_1("maxResults", self.max_results)
    }

    fn control(&self) -> Option<&str> {
        self.control.map(|Control::ExecveOnly| "execve-only")
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        let activity = Activity::attach(
            loader,
            Config {
                exec: self.exec,
                open: self.open,
                syscalls: self.syscalls,
                max_cgroups: self.max_cgroups,
                max_results: self.max_results,
                control: self.control,
            },
        )?;
        Ok(Box::new(Started {
            activity,
            proven: false,
        }))
    }
}

struct Started {
    activity: Activity,
    proven: bool,
}

impl Probe for Started {
    fn prove(&mut self) -> Result<(), String> {
        self.activity.prove()?;
        self.proven = true;
        Ok(())
    }

    fn sweep_interval(&self) -> Option<Duration> {
        Some(SWEEP)
    }

    fn sweep(&mut self, _: u64) -> Result<(), Failure> {
        self.activity.sweep()?;
        Ok(())
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        let reading = self.activity.read()?;
        report::add(families, self.activity.config(), self.proven, &reading);
        Ok(())
    }
}
