//! Bad input and bad surroundings: each gives a clear error with the documented exit code, and loses nothing.
//! Nothing here starts a machine.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{fs, io::PipeWriter, os::unix::fs::PermissionsExt};

use common::{Said, assert_error, probelab, said, said_without_capture, scenario_with};

#[test]
fn a_missing_qemu_is_named_with_the_way_to_get_it() {
    let said = said(probelab("run canary").env("PROBELAB_QEMU", "/nowhere/qemu"));
    assert_error(
        &said,
        69,
        &["`/nowhere/qemu` was not found", "ci/bootstrap", "8.2 or newer"],
    );
}

#[test]
fn a_qemu_that_is_too_old_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let qemu = folder.path().join("qemu");
    fs::write(
        &qemu,
        "#!/bin/sh\necho 'QEMU emulator version 7.2.22 (some build)'\n",
    )
    .unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    let said = said(probelab("run canary").env("PROBELAB_QEMU", &qemu));
    assert_error(
        &said,
        69,
        &["QEMU 7.2.22 is too old: 8.2 or newer is needed", "ci/bootstrap"],
    );
}

#[test]
fn an_unknown_kernel_names_the_known_ones() {
    let said = said(&mut probelab("run canary --kernel 4.19"));
    assert_error(
        &said,
        2,
        &[
            "no kernel matches `4.19`",
            "there are: ",
            " 5.10, 5.10-rt, ",
            " 7.3-rt",
        ],
    );
}

#[test]
fn an_unknown_scenario_names_the_known_ones() {
    let said = said(&mut probelab("run http-latnecy"));
    assert_error(&said, 2, &["no scenario `http-latnecy`", "http-latency"]);
}

/// What `run` says of a scenario after one replacement; it never gets as far as a machine.
fn said_of(from: &str, to: &str) -> Said {
    let folder = scenario_with(from, to);
    said(probelab("run").arg(folder.path()))
}

#[test]
fn an_unknown_key_is_an_error_with_line_and_column() {
    assert_error(
        &said_of("cpus = 1", "cpus = 1\ncups = 1"),
        2,
        &["scenario.toml:6:1", "unknown key `cups`", "did you mean `cpus`"],
    );
}

#[test]
fn an_unknown_source_of_an_expectation_is_an_error_with_its_place() {
    assert_error(
        &said_of("source = \"said\"", "source = \"siad\""),
        2,
        &["scenario.toml:19:", "siad", "said"],
    );
}

#[test]
fn a_series_that_a_source_never_has_is_an_error_with_those_that_it_has() {
    let hey = |series: &str| {
        let from = "kind = \"openmetrics\"\noutput = \"load.say\"\n\n[[expect]]\nname = \"one\"\nkind = \"value\"\nof = { source = \"said\", series = \"a\" }";
        let to = from
            .replace("openmetrics", "hey-csv")
            .replace("\"a\"", &format!("\"{series}\""));
        said_of(from, &to)
    };
    assert_error(
        &hey("request_total"),
        2,
        &[
            "scenario.toml:19:",
            "unknown series `request_total`",
            "did you mean `requests_total`",
        ],
    );
    assert_error(
        &hey("a"),
        2,
        &[
            "unknown series `a`",
            "known here: requests_total, request_duration_seconds",
        ],
    );
}

#[test]
fn a_file_that_a_scenario_names_and_that_is_not_there_is_an_error() {
    let command = "command = [\"echo\", \"a 1\"]";
    let said = said_of(command, &format!("{command}\nfiles = [\"no.py\"]"));
    assert_error(&said, 2, &["no.py", "not in its folder"]);
}

#[test]
fn no_network_is_said_and_an_empty_cache_stays_whole() {
    let cache = tempfile::tempdir().unwrap();
    let mut command = probelab("kernels fetch 6.12 --mirror http://127.0.0.1:9/debian");
    let said = said(command.env("PROBELAB_CACHE", cache.path()));
    assert_error(
        &said,
        69,
        &["the package mirror could not be read", "--mirror URL"],
    );
    let kernels = fs::read_dir(cache.path().join("kernels")).map_or(0, Iterator::count);
    assert_eq!(kernels, 0, "something half-made was kept");
}

#[test]
fn a_stored_kernel_with_other_bytes_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let list = said(probelab("kernels list --json").env("PROBELAB_CACHE", cache.path()));
    let rows: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let is_newest = |row: &&serde_json::Value| row["name"] == "5.10";
    let row = rows.as_array().unwrap().iter().find(is_newest).unwrap();
    let key = row["sha256"].as_str().unwrap();
    let folder = cache.path().join("kernels").join(&key[..32]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("vmlinuz"), "not a kernel").unwrap();
    let said = said(probelab("kernels fetch 5.10").env("PROBELAB_CACHE", cache.path()));
    assert_error(
        &said,
        69,
        &[
            "the stored image of kernel 5.10",
            "is not what it should be: sha256",
            "delete",
        ],
    );
    assert!(
        folder.join("vmlinuz").exists(),
        "the damaged copy is evidence and stays"
    );
}

#[test]
fn a_mistake_in_the_lock_has_a_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("vm")).unwrap();
    fs::write(folder.path().join("vm/kernels.toml"), "kernel = []\n").unwrap();
    fs::write(
        folder.path().join("vm/kernels.lock"),
        "[[kernel]]\nseries = \"1\"\npakage = \"x\"\n",
    )
    .unwrap();
    let said = said(probelab("kernels list --root").arg(folder.path()));
    assert_error(&said, 2, &["kernels.lock", "unknown field `pakage`", ":3:1"]);
}

#[test]
fn a_folder_that_is_no_checkout_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let said = said(probelab("list --root").arg(folder.path()));
    assert_error(&said, 2, &["is not a Probelab folder"]);
}

#[test]
fn an_unknown_kind_of_the_cache_is_an_error() {
    let said = said(&mut probelab("cache prune --kind chekpoints"));
    assert_error(&said, 2, &["nothing of kind `chekpoints`", "checkpoints"]);
}

/// A pipe that nobody reads.
fn unread() -> PipeWriter {
    let (_, writer) = std::io::pipe().unwrap();
    writer
}

#[test]
fn a_reader_that_went_away_ends_the_program_without_a_word() {
    for arguments in [
        "list",
        "list --json",
        "cache list",
        "kernels list",
        "completions bash",
    ] {
        let said = said_without_capture(probelab(arguments).stdout(unread()));
        assert_eq!((said.code, &*said.error), (141, ""), "{arguments}: {said:?}");
    }
}

#[test]
fn progress_and_errors_that_nobody_reads_change_nothing() {
    let status = probelab("run no-such-scenario")
        .stderr(unread())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let said = said_without_capture(probelab("list").stdout(full));
    assert_error(&said, 69, &["the disk is full while writing to standard output"]);
}

#[test]
fn kernels_of_a_folder_are_listed_beside_the_pins() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["6.6-own", "empty"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("6.6-own/bzImage"), "image").unwrap();
    let said = said(probelab("kernels list").env("PROBELAB_KERNELS", folder.path()));
    assert_eq!(said.code, 0, "{said:?}");
    let names: Vec<&str> = said
        .out
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"6.12"), "{names:?}");
    assert_eq!(names.last(), Some(&"6.6-own"), "{names:?}");
    assert!(!names.contains(&"empty"), "{names:?}");
}

#[test]
fn a_kernel_that_has_the_name_of_a_pin_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("6.12")).unwrap();
    fs::write(folder.path().join("6.12/bzImage"), "image").unwrap();
    let said = said(probelab("run canary").env("PROBELAB_KERNELS", folder.path()));
    assert_error(
        &said,
        2,
        &["two kernels are called `6.12`", "rename the folder", "`6.12-own`"],
    );
}

#[test]
fn a_root_filesystem_that_is_no_archive_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rootfs");
    fs::write(&path, "no archive").unwrap();
    let said = said(probelab("rootfs build").env("PROBELAB_ROOTFS", &path));
    assert_error(&said, 69, &["no cpio archive of the form newc", "--rootfs"]);
}
