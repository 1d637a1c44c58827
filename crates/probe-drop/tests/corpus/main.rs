//! The blocklist's program on frames of every shape and length, one by one (`BPF_PROG_TEST_RUN`). What must become of
//! each is written beside it. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

#[path = "../common/mod.rs"]
mod common;
mod frames;
mod prefixes;
mod rewrites;
mod shapes;
mod verdicts;

use probe::loader::Loader;
use probe_drop::blocklist::{
    Blocklist,
    entry::{Action, Entry},
    kernel::{Config, Kernel},
    list_file::Entries,
    types::VERDICT_NAMES,
};

/// "PREFIX ACTION", with "shadow" behind it if it only counts.
fn entries(lines: &[&str]) -> Entries {
    let entry = |line: &&str| {
        let mut words = line.split(' ');
        let prefix = words.next().unwrap().parse().unwrap();
        let action = match words.next().unwrap() {
            "drop" => Action::Drop,
            "tx" => Action::Tx,
            _ => Action::Pass,
        };
        let entry = Entry {
            prefix,
            action,
            shadow: words.next() == Some("shadow"),
            ttl_seconds: None,
        };
        (prefix, entry)
    };
    lines.iter().map(entry).collect()
}

const LIST: [&str; 12] = [
    "192.0.2.0/24 drop",
    "192.0.2.128/25 pass",
    "192.0.2.129/32 drop",
    "198.51.100.0/24 tx",
    "203.0.113.0/24 drop shadow",
    "203.0.113.7/32 tx shadow",
    "2001:db8::/32 drop",
    "2001:db8:1::/48 pass",
    "2001:db8:1::1/128 drop",
    "2001:db8:2::/48 tx",
    "2001:db8:3::/48 drop shadow",
    "fe80::/10 drop",
];

fn config() -> Config {
    common::config(64)
}

fn load(loader: Loader, config: Config, lines: &[&str]) -> Option<Blocklist> {
    let kernel = common::load(loader, config)?;
    Some(Blocklist::new(kernel, entries(lines), false, None).unwrap())
}

/// What the program does with a frame: its action, and what it counted it as.
fn judge(kernel: &Kernel, frame: &[u8]) -> (u32, &'static str) {
    let counts = || kernel.verdicts().unwrap();
    let before = counts();
    let returned = kernel.test_run(frame).unwrap().returned;
    let after = counts();
    let rose: Vec<usize> = (0..after.len())
        .filter(|verdict| after[*verdict].packets != before[*verdict].packets)
        .collect();
    let [verdict] = rose[..] else {
        panic!("{} verdicts for one frame", rose.len())
    };
    assert_eq!(after[verdict].packets, before[verdict].packets + 1);
    assert_eq!(after[verdict].bytes, before[verdict].bytes + frame.len() as u64);
    (returned, VERDICT_NAMES[verdict].1)
}
