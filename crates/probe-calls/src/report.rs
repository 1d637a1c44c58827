//! From a reading to metric families: what each number is called. The README lists them.

use probe::{
    accounting::{add_attached, add_hits, add_map},
    metrics::{Families, Value, forever, labels},
};

use crate::{
    kernel::{Config, Reading},
    place::Function,
    types::VERDICT_NAMES,
};

const PROBE: &str = "calls";
/// What stands for a program's path where the function is one of the kernel's.
const KERNEL: &str = "(kernel)";

/// How the counts are called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    /// Calls by control group.
    pub(crate) calls: &'static str,
    /// Calls by process.
    pub(crate) calls_by_process: &'static str,
    /// What they are counts of.
    pub(crate) help: &'static str,
}

impl Names {
    /// Names that a manifest made up.
    pub(crate) fn new(metric: &str, help: &str) -> Self {
        Self {
            calls: forever(metric),
            calls_by_process: forever(&format!("{metric}_by_process")),
            help: forever(help),
        }
    }
}

/// Adds one probe's reading to the families of a scrape. `proven` says whether its hook was seen to lie in place.
pub(crate) fn add(families: &mut Families, names: Names, config: &Config, proven: bool, reading: &Reading) {
    let (program, function, hook) = match &config.function {
        Function::Program { path, symbol, .. } => {
            let path = path.display().to_string();
            let hook = format!("uprobe:{path}:{symbol}");
            (path, symbol, hook)
        }
        Function::Kernel { name } => (KERNEL.to_owned(), name, format!("kprobe:{name}")),
    };
    for (cgroup, count) in &reading.by_cgroup {
        families.add(
            names.calls,
            names.help,
            labels([("function", function), ("program", &program), ("cgroup", cgroup)]),
            Value::Counter(*count),
        );
    }
    for (process, count) in &reading.by_process {
        families.add(
            names.calls_by_process,
            names.help,
            labels([
                ("function", function),
                ("program", &program),
                ("process", process),
            ]),
            Value::Counter(*count),
        );
    }
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    add_attached(families, PROBE, &hook, proven && reading.is_current);
    add_map(
        families,
        PROBE,
        "calls",
        reading.entries,
        u64::from(config.max_entries),
    );
}
