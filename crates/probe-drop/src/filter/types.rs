//! The types shared with the kernel half, from `bpf/drop.h` by bindgen. Nothing is declared here a second time.

include!(concat!(env!("OUT_DIR"), "/drop.types.rs"));
