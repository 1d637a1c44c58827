//! The types shared with the kernel half, from `bpf/calls.h` by bindgen.

include!(concat!(env!("OUT_DIR"), "/types.rs"));
