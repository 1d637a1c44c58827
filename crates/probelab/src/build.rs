//! Builds of scenarios: programs that are compiled on this machine and put into the guest.
//!
//! A run is a function of its inputs, so a build must give the same bytes wherever it is made: it sees a fresh
//! folder with its files, a small environment, and no path that is its own. Another compiler is another input.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
};

use miette::Diagnostic;
use scenario::{Build, Content, own_name};
use tokio_util::sync::CancellationToken;
use vm::IoContext;
use wire::digest_hex;

use crate::{
    files::{Files, Loaded},
    open::Context,
    show::DONE,
};

/// The guest's processor.
const GUEST: &str = "x86_64";
/// Lines of a compiler's last words that an error shows.
const LAST_LINES: usize = 12;

/// Why a scenario could not be built.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BuildError {
    /// The compiler is not there.
    #[error("`{program}` was not found, which the build `{command}` needs")]
    #[diagnostic(help(
        "`ci/bootstrap` installs the compilers of the project's own scenarios; another one is mostly in the package of its name: `apt-get install {program}`"
    ))]
    Missing {
        /// The program.
        program: String,
        /// The whole command.
        command: String,
    },
    /// The compiler refused.
    #[error("the build `{command}` ended with {status}: {words}")]
    #[diagnostic(help("it ran in a folder that held only: {files}"))]
    Failed {
        /// The command.
        command: String,
        /// Its exit status or signal.
        status: String,
        /// Its last words.
        words: String,
        /// The files it was given.
        files: String,
    },
    /// The compiler was content, and its output is not there.
    #[error("the build `{command}` left no `{output}`")]
    NoOutput {
        /// The command.
        command: String,
        /// The output that is missing.
        output: String,
    },
    /// The output depends on where it was made.
    #[error(
        "`{output}` names the folder in which `{command}` ran, so that no other build can give its bytes"
    )]
    #[diagnostic(help("give the compiler relative paths only"))]
    NamesItsFolder {
        /// The command.
        command: String,
        /// The output.
        output: String,
    },
    /// The lab could not do its part.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lab(#[from] vm::Error),
}

/// Builds, each once for all that need it.
#[derive(Debug, Default)]
pub struct Builder {
    made: BTreeMap<String, Files>,
}

impl Builder {
    /// The files of a scenario with what its builds make.
    pub async fn files(&mut self, context: &Context, loaded: &Loaded) -> Result<Files, BuildError> {
        let mut files = loaded.files.clone();
        for build in loaded.scenario.builds() {
            let key = key(&build, &loaded.files);
            if !self.made.contains_key(&key) {
                context
                    .progress
                    .step("build", format!("{}: {}", loaded.name, build.command.join(" ")));
                let made = run(&build, &loaded.files, &context.cancel).await;
                context.progress.step("build", DONE);
                self.made.insert(key.clone(), made?);
            }
            files.extend(self.made[&key].clone());
        }
        Ok(files)
    }
}

/// Equal keys make equal outputs.
fn key(build: &Build, files: &Files) -> String {
    let mut parts: Vec<&[u8]> = Vec::new();
    for list in [&build.command, &build.outputs] {
        parts.push(b"list");
        parts.extend(list.iter().map(String::as_bytes));
    }
    for name in &build.files {
        parts.push(own_name(name).as_bytes());
        parts.push(files.get(name).map_or(b"", |content| &content.bytes));
    }
    digest_hex(&parts)
}

async fn run(build: &Build, files: &Files, cancel: &CancellationToken) -> Result<Files, BuildError> {
    let folder = tempfile::Builder::new()
        .prefix("probelab-build-")
        .tempdir()
        .during(|| "making a folder for a build".into())?;
    let folder = folder.path();
    for name in &build.files {
        if let Some(content) = files.get(name) {
            write(&folder.join(own_name(name)), &content.bytes)?;
        }
    }
    let compilers = tempfile::Builder::new()
        .prefix("probelab-compilers-")
        .tempdir()
        .during(|| "making a folder for compilers".into())?;
    let path = match std::env::consts::ARCH {
        GUEST => std::env::var_os("PATH").unwrap_or_default(),
        _ => guest_compilers(compilers.path())?,
    };
    let output = tokio::select! {
        output = compile(build, folder, &path) => output?,
        () = cancel.cancelled() => return Err(vm::Error::Interrupted.into()),
    };
    let command = build.command.join(" ");
    if !output.status.success() {
        let names: Vec<&str> = build.files.iter().map(|name| own_name(name)).collect();
        return Err(BuildError::Failed {
            command,
            status: output.status.to_string(),
            words: last_words(&output),
            files: names.join(", "),
        });
    }
    let mut made = Files::new();
    for name in &build.outputs {
        made.insert(name.clone(), collect(folder, name, &command)?);
    }
    Ok(made)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).at("making", parent)?;
    }
    Ok(std::fs::write(path, bytes).at("writing", path)?)
}

/// A `PATH` in which the usual names of compilers mean those that compile for the guest, as Debian calls them.
fn guest_compilers(folder: &Path) -> Result<OsString, BuildError> {
    for name in ["cc", "gcc", "gfortran"] {
        let real = if name == "cc" { "gcc" } else { name };
        let path = folder.join(name);
        write(
            &path,
            format!("#!/bin/sh\nexec {GUEST}-linux-gnu-{real} \"$@\"\n").as_bytes(),
        )?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .at("making a program of", &path)?;
    }
    let mut path = folder.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    Ok(path)
}

async fn compile(build: &Build, folder: &Path, path: &OsStr) -> Result<Output, BuildError> {
    let program = build.command.first().cloned().unwrap_or_default();
    let result = tokio::process::Command::new(&program)
        .args(build.command.iter().skip(1))
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C")
        .env("SOURCE_DATE_EPOCH", "0")
        // Compilers write the folder they run in into debug information, and take its name from here when it is
        // the same folder. For every process this is its own one.
        .env("PWD", "/proc/self/cwd")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BuildError::Missing {
            command: build.command.join(" "),
            program,
        }),
        other => Ok(other.during(|| format!("running `{}`", build.command.join(" ")))?),
    }
}

fn collect(folder: &Path, name: &str, command: &str) -> Result<Content, BuildError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Err(BuildError::NoOutput {
            command: command.to_owned(),
            output: name.to_owned(),
        });
    }
    let bytes = std::fs::read(&path).at("reading", &path)?;
    let own_path = folder.as_os_str().as_encoded_bytes();
    if bytes.windows(own_path.len()).any(|window| window == own_path) {
        return Err(BuildError::NamesItsFolder {
            command: command.to_owned(),
            output: name.to_owned(),
        });
    }
    let mode = std::fs::metadata(&path)
        .at("reading", &path)?
        .permissions()
        .mode();
    Ok(Content {
        bytes,
        executable: mode & 0o111 != 0,
    })
}

fn last_words(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIANGLE: &str = "program triangle\n  print *, 'rows', 3\nend program\n";

    async fn built(command: &[&str], outputs: &[&str]) -> Result<Files, BuildError> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let build = Build {
            files: vec!["../other/triangle.f90".into()],
            command: owned(command),
            outputs: owned(outputs),
        };
        let source = TRIANGLE.as_bytes().to_vec().into();
        let files = Files::from([("../other/triangle.f90".to_owned(), source)]);
        run(&build, &files, &CancellationToken::new()).await
    }

    const COMPILE: [&str; 7] = [
        "gfortran",
        "-g",
        "-O0",
        "-static",
        "-o",
        "triangle",
        "triangle.f90",
    ];

    #[tokio::test]
    async fn two_builds_have_the_same_bytes_and_name_no_folder() {
        let first = built(&COMPILE, &["triangle"]).await.unwrap();
        let second = built(&COMPILE, &["triangle"]).await.unwrap();
        let (first, second) = (&first["triangle"], &second["triangle"]);
        assert!(first == second, "two builds differ");
        assert!(first.executable);
        let has = |words: &[u8]| first.bytes.windows(words.len()).any(|window| window == words);
        assert!(
            has(b"triangle.f90") && has(b"/proc/self/cwd"),
            "no debug information"
        );
    }

    #[tokio::test]
    async fn an_output_that_names_its_folder_is_refused() {
        let error = built(&["sh", "-c", "readlink /proc/self/cwd > where"], &["where"]).await;
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("`where` names the folder in which"), "{error}");
    }

    #[tokio::test]
    async fn the_environment_is_small() {
        let made = built(&["sh", "-c", "env | cut -d= -f1 | sort > names"], &["names"]).await;
        let names = String::from_utf8(made.unwrap()["names"].bytes.clone()).unwrap();
        // What a shell adds of its own depends on which one it is.
        let own = ["_", "OLDPWD", "SHLVL"];
        let names: Vec<&str> = names.lines().filter(|name| !own.contains(name)).collect();
        assert_eq!(names, ["LC_ALL", "PATH", "PWD", "SOURCE_DATE_EPOCH"]);
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said_with_the_command() {
        let error = built(&["no-such-compiler", "x.f90"], &["x"]).await.unwrap_err();
        insta::assert_snapshot!(error, @"`no-such-compiler` was not found, which the build `no-such-compiler x.f90` needs");
        insta::assert_snapshot!(error.help().unwrap(), @"`ci/bootstrap` installs the compilers of the project's own scenarios; another one is mostly in the package of its name: `apt-get install no-such-compiler`");
        let error = built(&["sh", "-c", "ls; echo no >&2; exit 3"], &["x"])
            .await
            .unwrap_err();
        insta::assert_snapshot!(error, @r"
    the build `sh -c ls; echo no >&2; exit 3` ended with exit status: 3: triangle.f90
    no
    ");
        let error = built(&["true"], &["triangle"]).await.unwrap_err();
        insta::assert_snapshot!(error, @"the build `true` left no `triangle`");
    }

    #[tokio::test]
    async fn another_machine_compiles_with_the_guest_s_compilers() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [compilers, work] = folders.each_ref().map(tempfile::TempDir::path);
        write(&work.join("triangle.f90"), TRIANGLE.as_bytes()).unwrap();
        let build = Build {
            files: vec!["triangle.f90".into()],
            command: vec![
                "sh".into(),
                "-c".into(),
                "command -v gfortran && gfortran -o triangle triangle.f90".into(),
            ],
            outputs: vec!["triangle".into()],
        };
        let path = guest_compilers(compilers).unwrap();
        let output = compile(&build, work, &path).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.trim(), compilers.join("gfortran").display().to_string());
        assert!(output.status.success(), "{output:?}");
        let program = std::fs::read(work.join("triangle")).unwrap();
        // The machine of an ELF header: 62 is x86-64.
        assert_eq!(program[18..20], [62, 0]);
    }

    #[test]
    fn a_build_is_known_by_its_command_and_its_files() {
        let build = |file: &str, command: &str| Build {
            files: vec![file.into()],
            command: vec![command.into()],
            outputs: vec!["a".into()],
        };
        let files = |text: &str| Files::from([("a.c".to_owned(), text.as_bytes().to_vec().into())]);
        let sibling = Files::from([("../x/a.c".to_owned(), b"1".to_vec().into())]);
        let one = key(&build("a.c", "cc"), &files("1"));
        assert_eq!(one, key(&build("../x/a.c", "cc"), &sibling));
        assert_ne!(one, key(&build("a.c", "cc"), &files("2")));
        assert_ne!(one, key(&build("a.c", "clang"), &files("1")));
    }
}
