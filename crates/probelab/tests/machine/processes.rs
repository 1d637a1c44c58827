//! Whoever ends, ends alone: no QEMU is left behind, and a QEMU that is lost is said to be.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    common::{SCENARIO, assert_words, scenario},
    lab_in, own_cache, passed,
};

/// The QEMU processes that use a cache.
pub fn qemus(cache: &TempDir) -> Vec<String> {
    let folder = cache.path().display().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("qemu-system") && line.contains(&folder)
        })
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// What the running guests of a cache have said on their consoles.
fn consoles(cache: &TempDir) -> String {
    let runs = fs::read_dir(cache.path().join("run")).unwrap().flatten();
    runs.filter_map(|run| fs::read(run.path().join("console")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Starts a command and waits for the first QEMU of its cache.
fn started(command: &mut Command, cache: &TempDir) -> Child {
    let child = command.spawn().unwrap();
    wait_until("a QEMU is started", || !qemus(cache).is_empty());
    child
}

fn send(signal: &str, process: &str) {
    let status = Command::new("kill").args([signal, process]).status().unwrap();
    assert!(status.success(), "kill {signal} {process}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn ctrl_c_leaves_no_qemu_and_no_half_file() {
    let cache = own_cache();
    let mut command = lab_in(&cache, "run http-latency --kernel 6.12");
    let mut child = started(command.stdout(Stdio::null()).stderr(Stdio::piped()), &cache);
    send("-INT", &child.id().to_string());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(qemus(&cache).is_empty(), "a QEMU was left behind");
    let left: Vec<_> = fs::read_dir(cache.path().join("checkpoints"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_killed_probelab_takes_its_qemu_along() {
    let cache = own_cache();
    let mut command = lab_in(&cache, "run canary --kernel 6.12");
    let mut child = started(command.stdout(Stdio::null()).stderr(Stdio::null()), &cache);
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(qemus(&cache).is_empty(), "a QEMU was left behind");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_qemu_that_is_killed_is_the_lab_s_loss_and_not_a_verdict_on_the_guest() {
    let cache = own_cache();
    let text = SCENARIO
        .replace("wall_seconds = 10", "wall_seconds = 100")
        .replace(
            r#""echo", "a 1""#,
            r#""sh", "-c", "echo the load is busy > /dev/console; while true; do :; done""#,
        );
    let folder = scenario(&[("scenario.toml", &text)]);
    // The checkpoint first, by a run that ends; then the QEMU that is killed runs the load.
    passed(&mut lab_in(&cache, "run canary --kernel 6.12"));
    let mut command = lab_in(&cache, "run --kernel 6.12");
    command.arg(folder.path()).stdout(Stdio::piped());
    let child = started(&mut command, &cache);
    wait_until("the load runs", || consoles(&cache).contains("the load is busy"));
    for qemu in qemus(&cache) {
        send("-KILL", &qemu);
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert_words(
        &text,
        &[
            "INFRA",
            "QEMU was lost: signal: 9 (SIGKILL)",
            "last console lines:",
            "| the load is busy",
            "again: probelab replay",
        ],
    );
}
