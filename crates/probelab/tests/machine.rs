//! What only a real machine can show. Run by `just test-vm`, which has built the static programs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{SCENARIO, Said, assert_error, assert_words, probelab, root, said, scenario, scenario_with};
use tempfile::TempDir;

/// The lab, quiet, with whatever kernel builds the mirror has.
fn lab(arguments: &str) -> Command {
    probelab(&format!("--allow-drift -q {arguments}"))
}

/// What is in the user's cache of one kind.
fn cached(kind: &str) -> Vec<serde_json::Value> {
    let list = said(&mut probelab("cache list --json"));
    let items: Vec<serde_json::Value> = serde_json::from_str(&list.out).unwrap();
    items.into_iter().filter(|item| item["kind"] == kind).collect()
}

fn path_of(item: &serde_json::Value) -> &Path {
    Path::new(item["path"].as_str().unwrap())
}

/// A cache of its own that borrows kernels and root filesystem from the user's.
fn own_cache() -> TempDir {
    let cache = tempfile::Builder::new()
        .prefix("probelab-test-")
        .tempdir()
        .unwrap();
    for kind in ["kernels", "rootfs", "apt"] {
        let items = cached(kind);
        let item = items.first().expect("`probelab run` has filled the cache");
        std::os::unix::fs::symlink(path_of(item).parent().unwrap(), cache.path().join(kind)).unwrap();
    }
    cache
}

fn digest(report: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(report).expect(report);
    let text = report.to_string();
    let (_, rest) = text.split_once("\"digest\":\"").expect("the report has a digest");
    rest[..64].to_owned()
}

/// The QEMU processes that use a cache.
fn qemus(cache: &TempDir) -> Vec<String> {
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

/// Starts a command with a cache of its own and waits for its first QEMU.
fn started(command: &mut Command, cache: &TempDir) -> Child {
    let child = command.env("PROBELAB_CACHE", cache.path()).spawn().unwrap();
    wait_until("a QEMU is started", || !qemus(cache).is_empty());
    child
}

fn send(signal: &str, process: &str) {
    let status = Command::new("kill").args([signal, process]).status().unwrap();
    assert!(status.success(), "kill {signal} {process}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn two_cold_boots_with_two_restores_each_have_one_digest() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let cache = own_cache();
        for _ in 0..2 {
            let mut command = lab("run http-cost --kernel 6.12 --seed 1 --json");
            let said = said(command.env("PROBELAB_CACHE", cache.path()));
            assert_eq!(said.code, 0, "{said:?}");
            digests.push(digest(&said.out));
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn another_seed_is_another_run_and_a_record_replays_to_its_digest() {
    let records = tempfile::tempdir().unwrap();
    let run = |seed: u32| {
        let mut command = lab(&format!("run http-cost --kernel 6.12 --json --seed {seed}"));
        let said = said(command.arg("--records").arg(records.path()));
        assert_eq!(said.code, 0, "{said:?}");
        digest(&said.out)
    };
    assert_ne!(run(1), run(2));
    let record = records.path().join("http-cost-6.12-virtual-aya-2.json");
    let replayed = said(lab("replay").arg(record));
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(replayed.out.ends_with("equal\n"), "{replayed:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn metrics_of_every_kernel_have_the_same_series() {
    let records = tempfile::tempdir().unwrap();
    let mut command = lab("run http-cost --kernel all");
    let said = said(command.arg("--records").arg(records.path()));
    assert_eq!(said.code, 0, "{said:?}");
    for kernel in ["5.10", "6.1", "6.12", "6.18", "7.2"] {
        let text = fs::read_to_string(
            records
                .path()
                .join(format!("http-cost-{kernel}-virtual-aya-1.json")),
        )
        .unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let metrics = record["outputs"]["metrics"]["text"].as_str().unwrap();
        insta::assert_snapshot!(format!("metrics-{kernel}"), normalised(metrics));
    }
}

/// The series without their numbers, which follow the workload and the kernel build.
fn normalised(metrics: &str) -> String {
    metrics
        .lines()
        .map(|line| match line.rsplit_once(' ') {
            Some((series, _)) if !line.starts_with('#') => format!("{series} <number>\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_damaged_checkpoint_is_made_again_and_that_is_said() {
    let cache = own_cache();
    let run = || said(lab("run canary --kernel 5.10").env("PROBELAB_CACHE", cache.path()));
    assert_eq!(run().code, 0);
    let folder = fs::read_dir(cache.path().join("checkpoints"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_dir())
        .unwrap();
    let state = folder.join("state");
    let mut bytes = fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&state).unwrap();
    fs::write(&state, bytes).unwrap();
    let again = run();
    assert_error(
        &again,
        0,
        &["is damaged (state: other bytes than were saved) and is made again"],
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_full_disk_keeps_nothing_half_made() {
    let cache = own_cache();
    let checkpoints = cache.path().join("checkpoints");
    fs::create_dir(&checkpoints).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64m lab {0} && {1} --root {2} --allow-drift -q run canary --kernel 5.10; code=$?; ls -A {0}; exit $code",
        checkpoints.display(),
        common::program().display(),
        root().display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .env("PROBELAB_CACHE", cache.path());
    let said = said(&mut command);
    assert_eq!(said.code, 69, "{said:?}");
    assert!(
        said.out.contains("the disk is full while saving a checkpoint"),
        "{said:?}"
    );
    assert!(!said.out.contains(".new-"), "{said:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn ctrl_c_leaves_no_qemu_and_no_half_file() {
    let cache = own_cache();
    let mut command = lab("run http-latency --kernel 6.12");
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
    let mut command = lab("run canary --kernel 6.12");
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
    let canary = said(lab("run canary --kernel 6.12").env("PROBELAB_CACHE", cache.path()));
    assert_eq!(canary.code, 0, "{canary:?}");
    let mut command = lab("run --kernel 6.12");
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

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_missing_compiler_is_the_lab_s_loss_and_is_named() {
    let build = "[[build]]\nfiles = []\ncommand = [\"no-such-compiler\"]\noutputs = [\"a\"]\n\n[[load]]";
    let folder = scenario_with("[[load]]", build);
    let said = said(lab("run --kernel 6.12").arg(folder.path()));
    assert_eq!(said.code, 69, "{said:?}");
    assert_words(
        &said.out,
        &["INFRA", "`no-such-compiler` was not found", "apt-get install"],
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_program_that_is_built_here_runs_in_the_guest() {
    let folder = scenario_with(
        "[[load]]\nname = \"say\"\ncommand = [\"echo\", \"a 1\"]",
        r#"[[build]]
files = ["say.f90"]
command = ["gfortran", "-static", "-o", "say", "say.f90"]
outputs = ["say"]

[[load]]
name = "say"
command = ["./say"]
files = ["say"]"#,
    );
    fs::write(
        folder.path().join("say.f90"),
        "program say\n  print '(A)', 'a 1'\nend program\n",
    )
    .unwrap();
    let said = said(lab("run --kernel 6.12").arg(folder.path()));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn every_mutant_is_caught_by_the_expectations_that_it_must_fail() {
    let said = said(&mut lab("mutants --json"));
    assert_eq!(said.code, 0, "{said:?}");
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let mutants = report["mutants"].as_array().unwrap();
    let wrong_pairing = mutants
        .iter()
        .find(|mutant| mutant["mutant"] == "WRONG_PAIRING")
        .unwrap();
    assert_eq!(wrong_pairing["runs"][0]["scenario"], "http-latency-wrong-pairing");
    let caught_by = wrong_pairing["runs"][0]["caught_by"].as_array().unwrap();
    assert_eq!(caught_by, &["probe <= hey", "wire time", "buckets"]);
    assert!(mutants.iter().all(|mutant| mutant["caught"] == true), "{said:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn two_probelabs_on_one_cache_make_one_checkpoint() {
    let cache = own_cache();
    let start = || {
        lab("run canary --kernel 6.1")
            .env("PROBELAB_CACHE", cache.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let (mut one, mut two) = (start(), start());
    assert!(one.wait().unwrap().success());
    assert!(two.wait().unwrap().success());
    let checkpoints = fs::read_dir(cache.path().join("checkpoints")).unwrap().flatten();
    assert_eq!(checkpoints.filter(|entry| entry.path().is_dir()).count(), 1);
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_shell_runs_what_it_is_given() {
    let mut child = lab("shell --kernel 6.12")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"echo release-$(uname -r)\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("release-6.12"), "{text}");
}

/// Runs the scenario of the tests with another load.
fn run_load(command: &str) -> Said {
    let folder = scenario_with(r#""echo", "a 1""#, command);
    said(lab("run --kernel 6.12").arg(folder.path()))
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn what_is_true_passes_and_what_is_false_fails() {
    let good = run_load(r#""echo", "a 1""#);
    assert_eq!(good.code, 0, "{good:?}");
    let bad = run_load(r#""echo", "a 2""#);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.out.contains("must be 1"), "{bad:?}");
    let other = run_load(r#""echo", "b 1""#);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(
        other.out.contains("source `said` has no series `a`; it has b"),
        "{other:?}"
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_kernel_panic_has_its_own_exit_code_and_shows_the_console() {
    let said = run_load(r#""sh", "-c", "echo c > /proc/sysrq-trigger""#);
    assert_eq!(said.code, 255, "{said:?}");
    assert!(
        said.out
            .contains("Kernel panic - not syncing: sysrq triggered crash"),
        "{said:?}"
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_guest_that_hangs_is_given_up_by_either_clock() {
    let idle = run_load(r#""sleep", "1000""#);
    assert_eq!(idle.code, 1, "{idle:?}");
    assert!(
        idle.out
            .contains("not done after 20 s of guest time, during load `say`"),
        "{idle:?}"
    );
    let busy = run_load(r#""sh", "-c", "while true; do :; done""#);
    assert_eq!(busy.code, 1, "{busy:?}");
    assert!(busy.out.contains("nothing for 10 s of wall time"), "{busy:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn the_kvm_lane_runs_or_says_why_not() {
    let said = said(&mut lab("run canary --kernel 6.12 --lane kvm"));
    match said.code {
        0 => assert!(said.out.contains("passed"), "{said:?}"),
        _ => assert_error(
            &said,
            69,
            &["the kvm lane cannot be used here:", "use the virtual lane"],
        ),
    }
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn the_user_s_own_kernel_boots() {
    let kernels = cached("kernels");
    let kernel = kernels
        .iter()
        .find(|item| item["about"].as_str().unwrap().starts_with("kernel 6.12"))
        .unwrap();
    let folder = path_of(kernel);
    let mut command = lab("run canary");
    command
        .arg("--kernel-image")
        .arg(folder.join("vmlinuz"))
        .arg("--modules")
        .arg(folder.join("modules"));
    let said = said(&mut command);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("vmlinuz"), "{said:?}");
}

#[test]
#[ignore = "needs the static programs and root: just test-vm"]
fn the_host_lane_runs_on_this_machine_s_kernel_or_says_what_it_needs() {
    let said = said(&mut lab("run canary --lane host"));
    if said.out.contains("it needs root") {
        assert_eq!(said.code, 69, "{said:?}");
    } else {
        assert_eq!(said.code, 0, "{said:?}");
    }
}
