//! The ssh lane against a machine that runs: a virtual one with a real OpenSSH server. Run by `just test-vm`, which has
//! built the static programs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod remote;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Said, assert_error, compile, probelab, said};
use remote::Remote;
use tempfile::TempDir;

/// The lab in the ssh lane, its records in a folder.
fn lab(remote: &Remote, user: &str, arguments: &str) -> Command {
    let mut command = probelab(&format!("--allow-drift -q {arguments}"));
    command.arg(format!("--lane=ssh:{user}@127.0.0.1"));
    for option in remote.options() {
        command.arg(format!("--ssh-option={option}"));
    }
    command
}

/// Runs a command there that must pass.
fn passed(remote: &Remote, arguments: &str) {
    let said = timed(remote, arguments);
    assert_eq!(
        said.code,
        0,
        "{said:?}\nconsole of the machine:\n{}",
        remote.console()
    );
}

fn timed(remote: &Remote, arguments: &str) -> Said {
    let began = Instant::now();
    let said = said(&mut lab(remote, "root", arguments));
    println!("{arguments}: {:.1} s", began.elapsed().as_secs_f64());
    said
}

/// Runs a scenario there that must come to its end, and of whose expectations these must hold. An emulator in real time
/// is no judge of microseconds, and in a namespace of processes nobody has the number that the kernel knows.
fn held(remote: &Remote, scenario: &str, options: &str, expectations: &[&str]) {
    let said = timed(remote, &format!("run {scenario} --json {options}"));
    let json: serde_json::Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let results = json["runs"][0]["results"].as_array().cloned().unwrap_or_default();
    for name in expectations {
        let result = results.iter().find(|result| result["name"] == *name);
        assert!(
            result.is_some_and(|result| result["held"] == true),
            "{name}: {said:?}"
        );
    }
}

#[test]
#[ignore = "needs the static programs, QEMU and ssh: just test-vm"]
fn scenarios_and_checks_run_on_a_machine_that_runs_and_leave_nothing_there() {
    for program in ["ssh", "ssh-keygen", "cpio", "mmdebstrap", "qemu-system-x86_64"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("skipped: `{program}` is not here");
            return;
        }
    }
    let remote = Remote::boot();
    let before = remote.state();
    println!("the machine before:\n{before}");

    let records = tempfile::tempdir().unwrap();
    let folder = records.path().display();
    passed(&remote, "run canary broken-hang");
    remote.assert_state(&before);
    held(
        &remote,
        "http-latency",
        &format!("--records {folder}"),
        &[
            "counts: probe = server",
            "counts: probe = hey",
            "counts: probe = capture",
            "nothing lost",
        ],
    );
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(record_of(&records, "http-latency")).unwrap()).unwrap();
    assert_eq!(record["lane"], "ssh");
    assert_eq!(record["kernel"]["series"], "ssh-root@127.0.0.1");
    assert_eq!(record["kernel_release"], remote.kernel_release());
    remote.assert_state(&before);

    // It lists modules, which the machine has and has not loaded; nobody is there to be asked about XDP.
    let refused = said(&mut lab(&remote, "root", "run xdp-blocklist"));
    assert_error(&refused, 2, &["xdp-blocklist attaches XDP", "--yes"]);
    passed(&remote, "run xdp-blocklist --yes");
    remote.assert_state(&before);

    held(
        &remote,
        "calls-fortran",
        "",
        &["calls by control group", "nothing lost"],
    );
    remote.assert_state(&before);

    let objects = tempfile::tempdir().unwrap();
    let object = kinds(&objects);
    passed(&remote, &format!("check {} --yes", object.display()));
    remote.assert_state(&before);

    a_lab_that_is_killed_leaves_nothing(&remote);
    remote.assert_state(&before);
    an_interrupted_lab_leaves_nothing(&remote);
    remote.assert_state(&before);

    let nobody = said(&mut lab(&remote, "alice", "run canary"));
    assert!(
        nobody.out.contains("the lane needs root") || nobody.error.contains("the lane needs root"),
        "{nobody:?}"
    );
    let mut stranger = probelab("--allow-drift -q run canary --lane ssh:root@127.0.0.1");
    stranger.args(
        remote
            .options_without_host_key()
            .map(|option| format!("--ssh-option={option}")),
    );
    assert_error(&said(&mut stranger), 69, &["its host key is not known"]);
    remote.assert_state(&before);
}

/// Starts a run of a minute there and waits until it is under way.
fn run_under_way(remote: &Remote) -> std::process::Child {
    let child = lab(remote, "root", "run http-latency")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(240);
    while !remote
        .ssh("ls /sys/fs/cgroup; cat /proc/[0-9]*/comm")
        .contains("\nhey\n")
    {
        assert!(Instant::now() < deadline, "the load does not start");
        std::thread::sleep(Duration::from_secs(1));
    }
    child
}

fn a_lab_that_is_killed_leaves_nothing(remote: &Remote) {
    let mut child = run_under_way(remote);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn an_interrupted_lab_leaves_nothing(remote: &Remote) {
    let mut child = run_under_way(remote);
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

fn record_of(folder: &TempDir, scenario: &str) -> std::path::PathBuf {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with(scenario))
        .unwrap()
}

/// An object with a program of every kind that has a place, XDP among them.
fn kinds(folder: &TempDir) -> std::path::PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/kinds.bpf.c");
    let out = folder.path().join("kinds.bpf.o");
    compile(&source, &out, &["-g"]);
    out
}

/// A folder with a program `ssh` that is this script.
fn ssh_that(script: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ssh");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let search = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    (folder, search)
}

/// What a run says whose `ssh` is a script. The last argument is what runs at the far side.
fn said_with(script: &str) -> Said {
    let (_folder, search) = ssh_that(script);
    said(probelab("--allow-drift -q run canary --lane ssh:node").env("PATH", search))
}

/// The far side is this machine: its shell, with the arguments of the connection taken away.
const THIS_MACHINE: &str = "for last; do :; done; exec sh -c \"$last\"";

#[test]
#[ignore = "needs the static programs: just test-vm"]
fn what_stops_a_connection_is_said_with_what_to_do() {
    for (script, words) in [
        (
            "echo 'Host key verification failed.' >&2; exit 255",
            ["its host key is not known", "UserKnownHostsFile"],
        ),
        (
            "echo 'root@node: Permission denied (publickey).' >&2; exit 255",
            ["does not let this user in", "IdentityFile"],
        ),
        (
            "echo 'ssh: connect to host node port 22: Connection refused' >&2; exit 255",
            ["it cannot be reached", "Connection refused"],
        ),
        (
            "echo 'command-line: line 0: Bad configuration option: prot' >&2; exit 255",
            ["does not understand an option", "prot"],
        ),
        (
            "echo Welcome; cat >/dev/null & echo 'probelab: machine Linux aarch64'; sleep 1",
            ["it is Linux aarch64", "x86-64"],
        ),
        (
            "echo 'probelab: root alice'; echo 'sudo: a password is required' >&2",
            ["the lane needs root", "sudo -n true"],
        ),
        (
            "echo 'probelab: folder'",
            ["programs can be started from none of", "noexec"],
        ),
        (
            "printf 'probelab: send\\nprobelab: start\\nHello from your friendly shell'; cat >/dev/null",
            ["what came is no frame", "one build"],
        ),
        ("exit 0", ["it cannot be reached", "it said nothing"]),
    ] {
        assert_error(&said_with(script), 69, &words);
    }
}

#[test]
#[ignore = "needs the static programs and root: just test-vm"]
fn the_script_and_the_program_work_in_every_shell_that_is_here() {
    for shell in ["dash", "bash", "busybox sh"] {
        let program = shell.split(' ').next().unwrap();
        if Command::new(program).args(["-c", ":"]).output().is_err() {
            continue;
        }
        // `sh` is the shell in question, which a login may precede with words of its own.
        let script = format!("echo 'Last login: today'; exec {shell}");
        let said = said_with(&script);
        assert_eq!(said.code, 0, "{shell}: {said:?}");
    }
    let whole = said_with(THIS_MACHINE);
    assert_eq!(whole.code, 0, "{whole:?}");
}

#[test]
fn a_machine_s_name_is_never_an_option() {
    assert_error(
        &said(&mut probelab("run canary --lane ssh:-oProxyCommand=x")),
        2,
        &["begins with a dash"],
    );
    assert_error(
        &said(&mut probelab("run canary --lane ssh:")),
        2,
        &["no machine is named"],
    );
    assert_error(
        &said(&mut probelab("run canary --ssh-option Port=1")),
        2,
        &["--ssh-option is for the ssh lane"],
    );
}

#[test]
fn xdp_is_not_attached_without_a_word() {
    let said = said(&mut probelab("run xdp-blocklist canary --lane ssh:node"));
    assert_error(
        &said,
        2,
        &["xdp-blocklist attaches XDP programs on the machine node", "--yes"],
    );
}
