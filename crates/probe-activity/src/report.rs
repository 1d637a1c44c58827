//! From a reading to metric families: what each number is called. The README lists them.

use nix::errno::Errno;
use probe::{
    accounting::{add_attached, add_hits, add_map},
    metrics::{Families, Value, labels},
};

use crate::{
    kernel::{Config, Reading},
    types::{ACTIVITY_EXEC, ACTIVITY_INTERRUPTED, CLASS_NAMES, VERDICT_NAMES},
};

const PROBE: &str = "activity";

/// The label of a result: `ok`, the name of an error, or `interrupted`.
fn result(error: u32) -> String {
    match error {
        0 => "ok".to_owned(),
        ACTIVITY_INTERRUPTED => "interrupted".to_owned(),
        // Errno's debug text is its name. All numbers it does not know are one.
        number => match i32::try_from(number).map(Errno::from_raw) {
            Ok(Errno::UnknownErrno) | Err(_) => "unknown".to_owned(),
            Ok(errno) => format!("{errno:?}"),
        },
    }
}

/// Adds one probe's reading to the families of a scrape. `proven` says whether its hooks were seen to fire.
pub(crate) fn add(families: &mut Families, config: &Config, proven: bool, reading: &Reading) {
    for ((cgroup, action, error), count) in &reading.shown.results {
        let (name, help) = if *action == ACTIVITY_EXEC {
            ("exec", "Programs executed, by result.")
        } else {
            ("open", "Files opened, by result.")
        };
        families.add(
            name,
            help,
            labels([("cgroup", cgroup), ("result", &result(*error))]),
            Value::Counter(*count),
        );
    }
    for (cgroup, classes) in &reading.shown.classes {
        for (class, count) in CLASS_NAMES.iter().zip(classes) {
            families.add(
                "syscalls",
                "System calls, by what they are mostly used on.",
                labels([("cgroup", cgroup), ("class", class)]),
                Value::Counter(*count),
            );
        }
    }
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    for (hook, used) in [
        ("tp_btf:sys_enter", config.syscalls),
        ("tp_btf:sys_exit", config.exec || config.open),
        ("tp_btf:sched_process_exec", config.exec),
    ] {
        if used {
            add_attached(families, PROBE, hook, proven);
        }
    }
    let [results, cgroups] = reading.entries;
    add_map(families, PROBE, "results", results, u64::from(config.max_results));
    add_map(families, PROBE, "cgroups", cgroups, u64::from(config.max_cgroups));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_names() {
        assert_eq!(result(0), "ok");
        assert_eq!(result(2), "ENOENT");
        assert_eq!(result(ACTIVITY_INTERRUPTED), "interrupted");
        assert_eq!(result(511), "unknown");
    }
}
