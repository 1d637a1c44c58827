//! What only a real machine can show. Run by `just test-vm`, which has built the static programs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    fs,
    io::Write,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use common::{assert_error, probelab, root, said, scenario};

/// A cache of its own that borrows kernels and root filesystem from the user's.
fn own_cache() -> tempfile::TempDir {
    let list = said(&mut probelab("cache list --json"));
    let items: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let cache = tempfile::Builder::new()
        .prefix("probelab-test-")
        .tempdir()
        .unwrap();
    for kind in ["kernels", "rootfs", "apt"] {
        let item = items.as_array().unwrap().iter().find(|item| item["kind"] == kind);
        let path = item
            .and_then(|item| item["path"].as_str())
            .expect("`probelab run` has filled the cache");
        std::os::unix::fs::symlink(Path::new(path).parent().unwrap(), cache.path().join(kind)).unwrap();
    }
    cache
}

fn digest(report: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(report).expect(report);
    let text = report.to_string();
    let (_, rest) = text.split_once("\"digest\":\"").expect("the report has a digest");
    rest[..64].to_owned()
}

fn processes_with(words: &str) -> usize {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| {
            let line = String::from_utf8_lossy(line);
            line.contains("qemu-system") && line.contains(words)
        })
        .count()
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn two_cold_boots_with_two_restores_each_have_one_digest() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let cache = own_cache();
        for _ in 0..2 {
            let mut command = probelab("--allow-drift -q run http-cost --kernel 6.12 --seed 1 --json");
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
        let mut command = probelab(&format!(
            "--allow-drift -q run http-cost --kernel 6.12 --json --seed {seed}"
        ));
        let said = said(command.arg("--records").arg(records.path()));
        assert_eq!(said.code, 0, "{said:?}");
        digest(&said.out)
    };
    assert_ne!(run(1), run(2));
    let record = records.path().join("http-cost-6.12-virtual-aya-2.json");
    let replayed = said(probelab("--allow-drift -q replay").arg(record));
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(replayed.out.ends_with("equal\n"), "{replayed:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn metrics_of_every_kernel_have_the_same_series() {
    let records = tempfile::tempdir().unwrap();
    let mut command = probelab("--allow-drift -q run http-cost --kernel all");
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
    let run =
        || said(probelab("--allow-drift -q run canary --kernel 5.10").env("PROBELAB_CACHE", cache.path()));
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
    let mut command = std::process::Command::new("unshare");
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
    let mut child = probelab("--allow-drift -q run http-latency --kernel 6.12")
        .env("PROBELAB_CACHE", cache.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let own = cache.path().display().to_string();
    let deadline = Instant::now() + Duration::from_secs(60);
    while processes_with(&own) == 0 {
        assert!(Instant::now() < deadline, "no QEMU was started");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(processes_with(&own), 0, "a QEMU was left behind");
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
    let mut child = probelab("--allow-drift -q run canary --kernel 6.12")
        .env("PROBELAB_CACHE", cache.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let own = cache.path().display().to_string();
    let deadline = Instant::now() + Duration::from_secs(60);
    while processes_with(&own) == 0 {
        assert!(Instant::now() < deadline, "no QEMU was started");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(processes_with(&own), 0, "a QEMU was left behind");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn two_probelabs_on_one_cache_make_one_checkpoint() {
    let cache = own_cache();
    let start = || {
        probelab("--allow-drift -q run canary --kernel 6.1")
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
    let mut child = probelab("--allow-drift -q shell --kernel 6.12")
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

const SCENARIO: &str = r#"
about = "a test"
deadline_guest_seconds = 20
deadline_wall_seconds = 10
cpus = 1

[[load]]
name = "say"
command = ["COMMAND"]

[[oracle]]
name = "said"
kind = "openmetrics"
output = "load.say"

[[expect]]
name = "one"
kind = "value"
of = { source = "said", series = "a" }
is = 1
"#;

fn run_load(command: &str) -> common::Said {
    let folder = scenario(&[("scenario.toml", &SCENARIO.replace("\"COMMAND\"", command))]);
    said(probelab("--allow-drift -q run --kernel 6.12").arg(folder.path()))
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn what_is_true_passes_and_what_is_false_fails() {
    let good = run_load(r#""echo", "a 1""#);
    assert_eq!(good.code, 0, "{good:?}");
    let bad = run_load(r#""echo", "a 2""#);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.out.contains("must be 1"), "{bad:?}");
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
    let said = said(&mut probelab(
        "--allow-drift -q run canary --kernel 6.12 --lane kvm",
    ));
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
    let list = said(&mut probelab("cache list --json"));
    let items: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let kernel = items
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["kind"] == "kernels" && item["about"].as_str().unwrap().starts_with("kernel 6.12"))
        .unwrap();
    let folder = Path::new(kernel["path"].as_str().unwrap());
    let mut command = probelab("--allow-drift -q run canary");
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
    let said = said(&mut probelab("--allow-drift -q run canary --lane host"));
    if said.out.contains("it needs root") {
        assert_eq!(said.code, 69, "{said:?}");
    } else {
        assert_eq!(said.code, 0, "{said:?}");
    }
}
