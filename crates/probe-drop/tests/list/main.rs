//! The list of a blocklist over its life: entries end, change, come and go, and no packet is counted twice or not at
//! all. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

#[path = "../common/mod.rs"]
mod common;
mod expiry;
mod file;
mod model;
mod table;

use probe::loader::Loader;
use probe_drop::blocklist::{
    entry::{Action, Entry},
    kernel::Kernel,
    list_file::Entries,
};

const SECOND: u64 = 1_000_000_000;
/// A time long past on CLOCK_MONOTONIC, and one that does not come.
const PAST: u64 = 1;
const FUTURE: u64 = u64::MAX / 2;

fn kernel(loader: Loader, max_entries: u32) -> Option<Kernel> {
    common::load(loader, common::config(max_entries))
}

fn entry(prefix: &str, action: Action, ttl_seconds: Option<u32>) -> Entry {
    Entry {
        prefix: prefix.parse().unwrap(),
        action,
        shadow: false,
        ttl_seconds,
    }
}

fn list(entries: &[Entry]) -> Entries {
    entries.iter().map(|entry| (entry.prefix, *entry)).collect()
}

fn frame(source: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 20];
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    frame.extend(source);
    frame.extend([10, 0, 0, 1]);
    frame
}

fn action(kernel: &Kernel, source: [u8; 4]) -> u32 {
    kernel.test_run(&frame(source)).unwrap().returned
}
