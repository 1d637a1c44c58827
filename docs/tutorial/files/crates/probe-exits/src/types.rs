//! The types shared with the kernel half, from `bpf/exits.h` by bindgen. Nothing is declared here a second time.

include!(concat!(env!("OUT_DIR"), "/types.rs"));
