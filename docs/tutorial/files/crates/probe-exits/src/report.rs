//! From a reading to metric families: what each number is called.

use probe::{
    accounting::{add_attached, add_hits, add_map},
    metrics::{Families, Value, labels},
};

use crate::{
    kernel::Reading,
    types::{EXITS_BY_SIGNAL, VERDICT_NAMES},
};

const PROBE: &str = "exits";

/// Adds one probe's reading to the families of a scrape.
pub(crate) fn add(families: &mut Families, reading: &Reading) {
    for (cgroup, end, count) in &reading.ends {
        let by = if end.by == EXITS_BY_SIGNAL {
            "signal"
        } else {
            "status"
        };
        families.add(
            "process_exits",
            "Processes that ended, by how they ended.",
            labels([("cgroup", cgroup), ("by", by), ("code", &end.code.to_string())]),
            Value::Counter(*count),
        );
    }
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    add_attached(families, PROBE, "tp_btf:sched_process_exit", reading.proven);
    let entries = reading.ends.len() as u64;
    add_map(families, PROBE, "ends", entries, u64::from(reading.max_ends));
}
