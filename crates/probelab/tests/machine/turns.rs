//! What wakes QEMU while a guest runs changes nothing of the run.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
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

/// A QEMU whose threads do not take turns.
const WITHOUT_TURNS: &str = r#"#!/bin/sh
for argument; do
    shift
    set -- "$@" "${argument%,rr=record,rrfile=/dev/null}"
done
exec "${REAL_QEMU:-qemu-system-x86_64}" "$@"
"#;

/// Whether a process has come so far that it reads its signals from a file, and is not killed by this one.
fn takes_alarms(process: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{process}/fd"));
    let mut links = files
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| fs::read_link(file.path()));
    links.any(|link| link.is_ok_and(|link| link.as_os_str() == "anon_inode:[signalfd]"))
}

/// Ends what it is given to when it goes, also in a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Wakes the main thread of every QEMU of a cache, again and again, until told to stop; counts how often.
fn wake(cache: &TempDir, stop: &AtomicBool, woken: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        for process in qemus(cache) {
            let id = Pid::from_raw(process.parse().unwrap());
            while takes_alarms(&process) {
                for _ in 0..100 {
                    // It may have ended.
                    woken.fetch_add(u64::from(kill(id, Signal::SIGALRM).is_ok()), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(10));
                }
            }
        }
        std::thread::sleep(Duration::from_millis(20));
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
    let (stop, woken) = (AtomicBool::new(false), AtomicU64::new(0));
    let undisturbed = run(None);
    std::thread::scope(|scope| {
        scope.spawn(|| wake(&cache, &stop, &woken));
        let _stop = Stop(&stop);
        let disturbed = run(None);
        let times = woken.load(Ordering::Relaxed);
        assert!(times >= 1000, "QEMU was woken {times} times only");
        assert_eq!(disturbed, undisturbed);
        // The control: where they take no turns, one of a few such runs takes another course than the first.
        let first = run(Some(&without_turns));
        let strays = (0..10).any(|_| run(Some(&without_turns)) != first);
        assert!(strays, "nothing here disturbs a QEMU");
    });
}
