//! The types shared with the kernel half, from `bpf/runq.h` by bindgen. Nothing is declared here a second time; this
//! module only gives numbers their names.

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// Names of `enum runq_class`, as the label `class` has them; the first is never shown.
pub const CLASS_NAMES: [&str; RUNQ_CLASSES as usize] = ["none", "same", "other", "system", "throttled"];

/// Programs by `enum runq_program`, with the hook each is on.
pub const PROGRAMS: [(&str, &str); RUNQ_PROGRAMS as usize] = [
    ("runq_wakeup", "sched_wakeup"),
    ("runq_wakeup_new", "sched_wakeup_new"),
    ("runq_switch", "sched_switch"),
];
