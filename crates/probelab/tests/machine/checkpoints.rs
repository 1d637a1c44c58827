//! Checkpoints that are damaged, that do not fit, and that two want at once.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::{
    common::{SCENARIO, assert_error, program, root, said, scenario},
    lab, lab_in, own_cache,
};

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_damaged_checkpoint_is_made_again_and_that_is_said() {
    let cache = own_cache();
    let run = || said(&mut lab_in(&cache, "run canary --kernel 5.10"));
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
        program().display(),
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
fn two_probelabs_on_one_cache_make_one_checkpoint() {
    let cache = own_cache();
    let start = || {
        lab_in(&cache, "run canary --kernel 6.1")
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
fn a_guest_that_acts_on_accessed_bits_gets_no_checkpoint() {
    let stage = r#"
[[workload]]
name = "watcher"
command = ["sh", "-c", "echo Y > /sys/module/damon_stat/parameters/enabled; exec python3 -m http.server 8000"]
ready = { tcp = "127.0.0.1:8000" }
"#;
    let folder = scenario(&[("scenario.toml", &format!("{SCENARIO}{stage}"))]);
    let run = |kernel: &str| said(lab(&format!("run --kernel {kernel}")).arg(folder.path()));
    let refused = run("7.2");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused
            .out
            .contains("step `exactness` failed: this kernel watches memory accesses (its thread kdamond"),
        "{refused:?}"
    );
    let without = run("6.12");
    assert_eq!(without.code, 0, "{without:?}");
}
