//! The command line: what documents show of it, and what packages take from it, man pages and completions.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn probed(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probed"));
    command.args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn every_command_that_a_document_shows_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut count = 0;
    for document in ["README.md", "crates/probed/README.md", "deploy/README.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let blocks = text.split("```").skip(1).step_by(2);
        for line in blocks
            .flat_map(str::lines)
            .filter(|line| line.starts_with("probed "))
        {
            // What it is for follows after two spaces.
            let command: Vec<&str> = line.split("  ").next().unwrap().split_whitespace().collect();
            let depth = if ["slo", "state"].contains(&command[1]) {
                3
            } else {
                2
            };
            let output = probed(&command[1..depth]).arg("--help").output().unwrap();
            assert!(output.status.success(), "{document}: `{line}`: {output:?}");
            let help = String::from_utf8(output.stdout).unwrap();
            for option in command.iter().filter(|word| word.starts_with('-')) {
                let is_there = help
                    .split_whitespace()
                    .any(|word| word.trim_end_matches(',') == *option);
                assert!(is_there, "{document}: `{line}`: no option {option}");
            }
            count += 1;
        }
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn tls_without_anybody_to_trust_is_refused() {
    let output = probed(&["top", "--once", "--from", "https://127.0.0.1:1/metrics"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--ca-certificate"), "{error}");
}

#[test]
fn man_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    // It is made when it is not there.
    let pages = folder.path().join("share/man1");
    let output = probed(&["man"]).arg(&pages).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for (page, words) in [
        ("probed.1", "indicators out of the kernel"),
        ("probed-run.1", "Where to serve"),
        ("probed-slo-report.1", "how much of the error budget is left"),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(words), "{page}: {text}");
    }
}

#[test]
fn man_pages_that_cannot_be_written_are_an_error() {
    let output = probed(&["man", "/dev/null/pages"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(
        error.contains("writing man pages into /dev/null/pages: "),
        "{error}"
    );
}

#[test]
fn completions_are_printed_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let output = probed(&["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let script = String::from_utf8(output.stdout).unwrap();
        for word in ["otlp-endpoint", "openmetrics"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn completions_that_nobody_reads_are_no_panic() {
    let (_, unread) = std::io::pipe().unwrap();
    let Output { status, stderr, .. } = probed(&["completions", "bash"]).stdout(unread).output().unwrap();
    let error = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(69), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}
