//! The types shared with the kernel half, from `bpf/blocklist.h` by bindgen. Nothing is declared here a second time.

#![allow(
    missing_docs,
    dead_code,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::allow_attributes_without_reason,
    reason = "generated from C headers, which hold the documentation"
)]

include!(concat!(env!("OUT_DIR"), "/blocklist.types.rs"));
