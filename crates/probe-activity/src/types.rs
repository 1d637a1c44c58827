//! The types shared with the kernel half, from `bpf/activity.h` by bindgen. Nothing is declared here a second time; this
//! module only gives numbers their names.

#![allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from C headers, which hold the documentation"
)]

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// Names of `enum activity_class`.
pub const CLASS_NAMES: [&str; ACTIVITY_CLASSES as usize] =
    ["other", "file", "network", "process", "memory", "time"];
