//! Running the command line under test.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of it; a test may panic"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The words of a document that stand in backquotes.
pub fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split("```")
        .step_by(2)
        .flat_map(|part| part.split('`').skip(1).step_by(2))
}

/// Builds a BPF object from C.
pub fn compile(source: &Path, object: &Path, options: &[&str]) {
    let status = Command::new(std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned()))
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-idirafter"])
        .arg(format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH))
        .args(options)
        .arg("-c")
        .arg(source)
        .arg("-o")
        .arg(object)
        .status()
        .unwrap();
    assert!(status.success(), "clang refuses {}", source.display());
}

/// The program under test: the one that was built with the tests, or a faster build of the same source.
pub fn program() -> PathBuf {
    std::env::var_os("PROBELAB_TEST_PROGRAM")
        .map_or_else(|| env!("CARGO_BIN_EXE_probelab").into(), PathBuf::from)
}

/// `probelab` with plain output; `arguments` are separated by spaces.
pub fn probelab(arguments: &str) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments.split_whitespace())
        .current_dir(root())
        .env("NO_COLOR", "1")
        .env("COLUMNS", "200");
    command
}

/// What a finished command said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error with line breaks and box drawing taken out, for searching.
    pub error: String,
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    said_without_capture(command.stdout(Stdio::piped()))
}

/// Runs a command to its end whose standard output goes where it was told to go.
pub fn said_without_capture(command: &mut Command) -> Said {
    let child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&stderr).into_owned();
    let words: Vec<&str> = error.split_whitespace().filter(|word| *word != "│").collect();
    Said {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        error: words.join(" "),
    }
}

/// Asserts an exit code and words of standard error.
#[track_caller]
pub fn assert_error(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{said:?}");
    assert_words(&said.error, words);
}

/// Asserts that a text has all these words.
#[track_caller]
pub fn assert_words(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}

/// A scenario folder with these files.
pub fn scenario(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("scenario-").tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A scenario that says `a 1` and expects it.
pub const SCENARIO: &str = r#"
about = "a test"
deadline_guest_seconds = 20
deadline_wall_seconds = 10
cpus = 1

[[load]]
name = "say"
command = ["echo", "a 1"]

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

/// A scenario folder with [`SCENARIO`] after one replacement.
pub fn scenario_with(from: &str, to: &str) -> tempfile::TempDir {
    assert!(SCENARIO.contains(from), "the test replaces nothing");
    scenario(&[("scenario.toml", &SCENARIO.replace(from, to))])
}
