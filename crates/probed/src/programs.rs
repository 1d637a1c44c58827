//! `probed programs`: what every BPF program on this machine costs, whoever loaded it.

use anyhow::Context;
use probe::loaded::programs;
use probe::metrics::{Families, Value, labels};

/// Runs and run time of all loaded programs, added up by process and name. While no program statistics are kept
/// (`kernel.bpf_stats_enabled`) both stand still.
///
/// # Errors
/// When the kernel does not let this user list programs.
pub fn families() -> anyhow::Result<Families> {
    let mut families = Families::default();
    for program in programs().context("cannot list BPF programs; it needs CAP_SYS_ADMIN")? {
        let labels = || labels([("process", &program.process), ("program", &program.name)]);
        families.add(
            "bpf_program_runs",
            "Runs of the BPF programs of this name that a process holds.",
            labels(),
            Value::Counter(program.runs),
        );
        families.add(
            "bpf_program_run_time_seconds",
            "Time spent in the BPF programs of this name that a process holds.",
            labels(),
            Value::CounterSeconds(program.run_time_ns as f64 / 1e9),
        );
    }
    Ok(families)
}
