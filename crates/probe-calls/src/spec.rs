//! What a manifest says about this probe, and the probe as the daemon keeps it.

use std::{path::PathBuf, time::Duration};

use probe::{Failure, Probe, loader::Loader, metrics::Families, range::at_least_1, select::Targets};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kernel::{Config, Counter},
    place::Function,
    report::{self, Names},
};

/// How often counters of ended processes make room for new ones.
const SWEEP: Duration = Duration::from_secs(5);

/// Which function's calls are counted: `program` and `symbol`, or `kprobe`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// Path of the program or library, as the daemon sees it.
    pub program: Option<PathBuf>,
    /// The function's name in its symbol table; Fortran adds `_`, a version may follow (`f@V1`).
    pub symbol: Option<String>,
    /// What the function may be called instead.
    #[serde(skip)]
    pub or_symbol: Option<String>,
    /// A function of the kernel.
    pub kprobe: Option<String>,
    /// A file with the program's debug information, where it is not in one of the usual places.
    pub debug_file: Option<PathBuf>,
    /// What to call the counts, without `_total`.
    #[serde(default = "default_metric")]
    pub metric: String,
    /// What the counts are.
    #[serde(default = "default_help")]
    pub help: String,
    /// Pairs of process and control group that are counted at once; those beyond are counted as lost.
    #[serde(default = "default_max_entries")]
    pub max_entries: u32,
    /// Processes with a series of their own; 0: processes are not told apart.
    #[serde(default = "default_max_processes")]
    pub max_processes: u32,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// A map is asked for the key at address 0: the verifier must refuse it.
    ZeroKey,
    /// The pointer to the counter is increased, not the counter.
    PointerAdd,
}

fn default_metric() -> String {
    "function_calls".to_owned()
}

fn default_help() -> String {
    "Calls of a function.".to_owned()
}

fn default_max_entries() -> u32 {
    4096
}

fn default_max_processes() -> u32 {
    20
}

impl Spec {
    fn function(&self) -> Result<Function, String> {
        match (&self.program, &self.symbol, &self.kprobe, &self.debug_file) {
            (Some(path), Some(symbol), None, debug_file) => Ok(Function::Program {
                path: path.clone(),
                symbol: symbol.clone(),
                or_symbol: self.or_symbol.clone(),
                debug_file: debug_file.clone(),
            }),
            (None, None, Some(name), None) => Ok(Function::Kernel { name: name.clone() }),
            _ => Err("either `program` with `symbol` (and `debugFile`, if needed) or `kprobe`".to_owned()),
        }
    }
}

/// Whether Prometheus takes it as a metric's name, and no suffix of ours would be doubled.
fn is_metric_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
        && !name.ends_with("_total")
        && !name.starts_with("probelab_")
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            program: None,
            symbol: None,
            or_symbol: None,
            kprobe: None,
            debug_file: None,
            metric: default_metric(),
            help: default_help(),
            max_entries: default_max_entries(),
            max_processes: default_max_processes(),
            control: None,
        }
    }
}

impl probe::Spec for Spec {
    fn check(&self) -> Result<(), String> {
        self.function()?;
        if !is_metric_name(&self.metric) {
            return Err(
                "`metric` must consist of letters, digits and _, and neither start with probelab_ nor end in _total"
                    .to_owned(),
            );
        }
        at_least_1("maxEntries", self.max_entries)
    }

    fn control(&self) -> Option<&str> {
        self.control.map(|control| match control {
            Control::ZeroKey => "zero-key",
            Control::PointerAdd => "pointer-add",
        })
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        self.begin(loader, None)
    }

    fn can_select(&self) -> bool {
        true
    }

    fn follows_programs(&self) -> bool {
        self.program.is_some()
    }

    fn start_for(&self, loader: Loader, targets: &Targets) -> Result<Box<dyn Probe>, Failure> {
        self.begin(loader, Some(targets))
    }
}

impl Spec {
    fn begin(&self, loader: Loader, targets: Option<&Targets>) -> Result<Box<dyn Probe>, Failure> {
        let config = Config {
            function: self.function()?,
            max_entries: self.max_entries,
            max_processes: self.max_processes,
            control: self.control,
        };
        Ok(Box::new(Started {
            counter: Counter::attach(loader, config, targets)?,
            names: Names::new(&self.metric, &self.help),
            proven: false,
        }))
    }
}

struct Started {
    counter: Counter,
    names: Names,
    proven: bool,
}

impl Probe for Started {
    fn prove(&mut self) -> Result<(), String> {
        self.counter.prove()?;
        self.proven = true;
        Ok(())
    }

    fn sweep_interval(&self) -> Option<Duration> {
        Some(SWEEP)
    }

    fn sweep(&mut self, _: u64) -> Result<(), Failure> {
        self.counter.sweep()?;
        Ok(())
    }

    fn select(&mut self, targets: &Targets) -> Result<(), Failure> {
        Ok(self.counter.select(targets)?)
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        let reading = self.counter.read()?;
        report::add(families, self.names, self.counter.config(), self.proven, &reading);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use probe::Spec as _;

    use super::*;

    fn spec() -> Spec {
        Spec {
            program: Some("/bin/true".into()),
            symbol: Some("main".to_owned()),
            max_entries: 1,
            max_processes: 0,
            ..Spec::default()
        }
    }

    #[test]
    fn a_function_is_of_a_program_or_of_the_kernel() {
        assert_eq!(spec().check(), Ok(()));
        let kprobe = Some("vfs_read".to_owned());
        let both = Spec {
            kprobe: kprobe.clone(),
            ..spec()
        };
        assert!(both.check().unwrap_err().contains("or `kprobe`"));
        let kernel = Spec {
            kprobe,
            program: None,
            symbol: None,
            ..spec()
        };
        assert_eq!(kernel.check(), Ok(()));
        let half = Spec {
            symbol: None,
            ..spec()
        };
        assert!(half.check().is_err());
    }

    #[test]
    fn names_that_prometheus_refuses_are_refused() {
        for (metric, good) in [
            ("area_calculations", true),
            ("9lives", false),
            ("calls_total", false),
            ("calls-of-area", false),
            ("probelab_lost", false),
            ("", false),
        ] {
            let metric = metric.to_owned();
            let checked = Spec { metric, ..spec() };
            assert_eq!(checked.check().is_ok(), good, "{}", checked.metric);
        }
    }
}
