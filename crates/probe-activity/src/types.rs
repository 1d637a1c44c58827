//! The types shared with the kernel half, from `bpf/activity.h` by bindgen. Nothing is declared here a second time; this
//! module only gives numbers their names.

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// Names of `enum activity_class`.
pub const CLASS_NAMES: [&str; ACTIVITY_CLASSES as usize] =
    ["other", "file", "network", "process", "memory", "time"];
