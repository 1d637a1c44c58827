//! The types shared with the kernel half, from `bpf/calls.h` by bindgen.

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
