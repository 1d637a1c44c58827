//! What wakes QEMU while a guest runs changes nothing of the run.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{common::scenario, lab_in, own_cache, passed, processes::qemus, records::digest};

/// Two thousand short sleeps, each as long as the clock makes it.
const SLEEPER: &str = r#"
about = "A sleeper"
deadline_guest_seconds = 60
deadline_wall_seconds = 300
cpus = 1

[[load]]
name = "sleeper"
command = [
    "python3", "-c",
    "import time\nfor _ in range(2000): time.sleep(0.001)\nprint('sleeper_woke_nanoseconds', time.monotonic_ns())",
]

[[oracle]]
name = "sleeper"
kind = "openmetrics"
output = "load.sleeper"

[[expect]]
name = "it woke"
kind = "value"
of = { source = "sleeper", series = "sleeper_woke_nanoseconds" }
at_least = 1
"#;

/// A QEMU whose threads do not take turns, as the lab had it before it knew better.
const WITHOUT_TURNS: &str = r#"#!/bin/sh
for argument; do
    shift
    set -- "$@" "${argument%,rr=*}"
done
exec "${REAL_QEMU:-qemu-system-x86_64}" "$@"
"#;

/// Whether a process has come so far that it takes this signal for a file to read, and is not killed by it.
fn takes_alarms(process: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let mask = blocked.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (Signal::SIGALRM as u32 - 1)) != 0)
}

/// Ends what it is given to when it goes, also in a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Wakes the main thread of every QEMU of a cache, again and again, until told to stop.
fn wake(cache: &TempDir, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        for process in qemus(cache).into_iter().filter(|process| takes_alarms(process)) {
            let process = Pid::from_raw(process.parse().unwrap());
            for _ in 0..1000 {
                // It may have ended.
                let _ = kill(process, Signal::SIGALRM);
                std::thread::sleep(Duration::from_micros(10));
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_run_is_the_same_however_often_qemu_s_main_thread_is_woken() {
    let cache = own_cache();
    let folder = scenario(&[("scenario.toml", SLEEPER)]);
    let without_turns = folder.path().join("qemu-without-turns");
    fs::write(&without_turns, WITHOUT_TURNS).unwrap();
    fs::set_permissions(&without_turns, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |qemu: Option<&Path>| {
        let mut command = lab_in(&cache, "run --kernel 6.12 --json");
        if let Some(qemu) = qemu {
            let real = std::env::var_os("PROBELAB_QEMU").unwrap_or_else(|| "qemu-system-x86_64".into());
            command.env("PROBELAB_QEMU", qemu).env("REAL_QEMU", real);
        }
        digest(&passed(command.arg(folder.path())).out)
    };
    let stop = AtomicBool::new(false);
    let undisturbed = run(None);
    std::thread::scope(|scope| {
        scope.spawn(|| wake(&cache, &stop));
        let stop = Stop(&stop);
        let woken = run(None);
        // The control: where they take no turns, such a run soon takes another course.
        let strays = (0..10).any(|_| run(Some(&without_turns)) != undisturbed);
        drop(stop);
        assert_eq!(woken, undisturbed);
        assert!(strays, "nothing here disturbs a QEMU");
    });
}
