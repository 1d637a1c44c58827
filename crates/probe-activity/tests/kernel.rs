//! The probe on this machine's own kernel. Skips, and says so, where BPF may not be used. Other programs of the machine
//! are seen as well, so what is counted here is at least, not exactly, what is done; the scenarios count exactly.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{
    fs::File,
    process::Command,
    sync::{Mutex, PoisonError},
};

use probe::{Probe, Spec as _, loader::Loader, metrics::Families};
use probe_activity::Spec;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn spec() -> Spec {
    Spec {
        exec: true,
        open: true,
        syscalls: true,
        max_cgroups: 64,
        max_results: 256,
        control: None,
    }
}

fn each_loader(spec: &Spec, test: fn(&mut dyn Probe)) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for loader in Loader::ALL {
        let _stats = probe::stats::enable().ok();
        match spec.start(loader) {
            Ok(mut probe) => test(probe.as_mut()),
            Err(error) if error.to_string().contains("Operation not permitted") => {
                eprintln!("SKIPPED: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn scrape(probe: &mut dyn Probe) -> String {
    let mut families = Families::default();
    probe.collect(&mut families).unwrap();
    families.to_openmetrics()
}

/// Sum of the series whose name and labels have all of these parts.
fn sum(text: &str, parts: &[&str]) -> u64 {
    text.lines()
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn execs_opens_and_calls_are_seen() {
    each_loader(&spec(), |probe| {
        probe.prove().unwrap();
        let before = scrape(probe);
        for _ in 0..20 {
            File::open("/nothing/of/this/name").unwrap_err();
        }
        for _ in 0..3 {
            Command::new("/bin/true").status().unwrap();
        }
        let after = scrape(probe);
        let more = |parts: &[&str]| sum(&after, parts) - sum(&before, parts);
        assert!(more(&["open_total{", "ENOENT"]) >= 20, "{after}");
        assert!(more(&["exec_total{", "\"ok\""]) >= 3, "{after}");
        assert!(more(&["syscalls_total{", "\"file\""]) >= 23, "{after}");
        assert_eq!(sum(&after, &["probelab_attached{"]), 3);
        assert_eq!(sum(&after, &["probelab_lost_total{"]), 0);
    });
}

#[test]
fn only_what_was_asked_for_is_loaded() {
    let opens = Spec {
        exec: false,
        syscalls: false,
        ..spec()
    };
    each_loader(&opens, |probe| {
        probe.prove().unwrap();
        let text = scrape(probe);
        assert_eq!(sum(&text, &["probelab_attached{"]), 1);
        assert!(sum(&text, &["open_total{"]) >= 1);
        assert_eq!(sum(&text, &["exec_total{"]), 0);
        assert!(!text.contains("activity_sys_enter"), "{text}");
    });
}

#[test]
fn full_maps_are_losses_that_are_told() {
    let small = Spec {
        max_results: 1,
        ..spec()
    };
    each_loader(&small, |probe| {
        // Two results of one group at least.
        File::open("/").unwrap();
        File::open("/nothing/of/this/name").unwrap_err();
        let text = scrape(probe);
        assert!(
            sum(&text, &["probelab_lost_total{", "results_full"]) >= 1,
            "{text}"
        );
        assert_eq!(sum(&text, &["probelab_map_entries{", "results"]), 1);
    });
}
