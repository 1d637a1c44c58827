//! What only a real machine can show. Run by `just test-vm`, which has built the static programs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod check;
mod checkpoints;
#[path = "../common/mod.rs"]
mod common;
mod costs;
mod lanes;
mod loads;
mod matrix;
mod processes;
mod records;
mod turns;

use std::{path::Path, process::Command};

use common::{Said, probelab, said};
use tempfile::TempDir;

/// The lab, quiet, with whatever kernel builds the mirror has.
fn lab(arguments: &str) -> Command {
    probelab(&format!("--allow-drift -q {arguments}"))
}

/// The same with a cache of its own.
fn lab_in(cache: &TempDir, arguments: &str) -> Command {
    let mut command = lab(arguments);
    command.env("PROBELAB_CACHE", cache.path());
    command
}

/// Runs a command that must pass.
#[track_caller]
fn passed(command: &mut Command) -> Said {
    let said = said(command);
    assert_eq!(said.code, 0, "{said:?}");
    said
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
