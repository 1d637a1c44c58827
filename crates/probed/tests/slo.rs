//! `probed slo` as it is called: files, exit codes, a daemon without a history, and the terminal after the screen.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

const PUBLISHED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../scenarios/slo-http/reliably.yaml"
);

/// What a probe has counted: answers with 200, all of them fast, and with 500.
fn exposition(good: u64, bad: u64, seconds: Option<u64>) -> String {
    let time = seconds.map(|seconds| format!(" {seconds}")).unwrap_or_default();
    let mut text = String::from("# TYPE http_server_request_duration_seconds histogram\n");
    for (status, count) in [(200, good), (500, bad)] {
        for bound in ["0.1", "0.15", "+Inf"] {
            let labels = format!("le=\"{bound}\",http_response_status_code=\"{status}\"");
            text += &format!("http_server_request_duration_seconds_bucket{{{labels}}} {count}{time}\n");
        }
        let labels = format!("http_response_status_code=\"{status}\"");
        text += &format!("http_server_request_duration_seconds_count{{{labels}}} {count}{time}\n");
        text += &format!("http_server_request_duration_seconds_sum{{{labels}}} 1{time}\n");
    }
    text += &format!(
        "# TYPE probelab_attached gauge\nprobelab_attached{{hook=\"socket:lo\",probe=\"http\"}} 1{time}\n"
    );
    text + "# EOF\n"
}

struct Folder(tempfile::TempDir);

impl Folder {
    /// With a recording of a minute: 990 good answers and 20 bad ones.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let start = 1_700_000_000;
        let recording = exposition(5, 0, Some(start)) + &exposition(995, 20, Some(start + 60));
        std::fs::write(folder.path("samples.txt"), recording).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_probed"));
        command.current_dir(self.0.path()).arg("slo");
        command
            .env("STATE_DIRECTORY", self.path("state"))
            .env_remove("PROBED_SLO_STORE")
            .env_remove("RUST_BACKTRACE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }
}

const REPORT: [&str; 5] = ["report", "-m", PUBLISHED, "--samples", "samples.txt"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_published_example_on_a_recording() {
    let folder = Folder::new();
    let output = folder.run(&[
        "report",
        "-m",
        PUBLISHED,
        "--samples",
        "samples.txt",
        "-f",
        "json",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let [latency, availability] = &report["objectives"].as_array().unwrap()[..] else {
        panic!("{report}")
    };
    assert_eq!(
        (&latency["status"], &latency["total"]),
        (&"met".into(), &1010.into())
    );
    assert_eq!(availability["status"], "missed");
    assert_eq!(
        availability["events"],
        serde_json::json!({"good": 990, "bad": 20, "unknown": 0})
    );
    assert_eq!(availability["crossed"], "hi");
}

#[test]
fn every_format_is_printed_and_written() {
    let folder = Folder::new();
    for format in ["simple", "tabbed", "json", "yaml", "markdown"] {
        let arguments = [
            "report",
            "-m",
            PUBLISHED,
            "--samples",
            "samples.txt",
            "-f",
            format,
        ];
        let printed = folder.run(&arguments);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        assert!(text(&printed.stdout).contains("ebpf-2021-demo"), "{format}");
        assert!(
            printed.stdout.ends_with(b"\n") && !printed.stdout.contains(&0x1b),
            "{format}"
        );
        let written = folder.run(&[&arguments[..], &["-o", "report.txt"]].concat());
        assert!(written.status.success() && written.stdout.is_empty());
        assert_eq!(std::fs::read(folder.path("report.txt")).unwrap(), printed.stdout);
    }
}

#[test]
fn synced_objectives_need_not_be_named() {
    let folder = Folder::new();
    let before = folder.run(&["report", "--samples", "samples.txt"]);
    assert_eq!(before.status.code(), Some(2));
    assert!(
        text(&before.stderr).contains("probed slo sync -m FILE"),
        "{}",
        text(&before.stderr)
    );
    let synced = folder.run(&["sync", "-m", PUBLISHED]);
    assert!(
        text(&synced.stdout).contains("2 stored in"),
        "{}",
        text(&synced.stderr)
    );
    assert_eq!(
        std::fs::read(folder.path("state/slo.yaml")).unwrap(),
        std::fs::read(PUBLISHED).unwrap()
    );
    let after = folder.run(&["report", "--samples", "samples.txt"]);
    assert!(after.status.success(), "{}", text(&after.stderr));
    assert!(folder.run(&["rules"]).status.success());
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_not_stored() {
    let folder = Folder::new();
    let published = std::fs::read_to_string(PUBLISHED).unwrap();
    std::fs::write(folder.path("bad.yaml"), published.replace("window:", "windows:")).unwrap();
    let output = folder.run(&["sync", "-m", "bad.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.starts_with("probed: bad.yaml:9:5: unknown field `windows`"),
        "{told}"
    );
    assert!(!folder.path("state/slo.yaml").exists());
    std::fs::write(folder.path("cut.txt"), "# TYPE a counter\na_total 1\n").unwrap();
    for (samples, word) in [("none.txt", "cannot read the recording"), ("cut.txt", "# EOF")] {
        let output = folder.run(&["report", "-m", PUBLISHED, "--samples", samples]);
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains(word), "{}", text(&output.stderr));
    }
}

#[test]
fn a_daemon_without_a_history_is_sampled() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = std::sync::Arc::new(AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&served);
    // Each look finds ten more good answers and a bad one.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            reader.read_line(&mut request).unwrap();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let (status, body) = if request.starts_with("GET /metrics ") {
                let looks = counter.fetch_add(1, Ordering::SeqCst);
                ("200 OK", exposition(looks * 10, looks, None))
            } else {
                ("404 Not Found", String::new())
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    let folder = Folder::new();
    let published = std::fs::read_to_string(PUBLISHED).unwrap();
    std::fs::write(
        folder.path("short.yaml"),
        published.replace("window: 1m", "window: 3s"),
    )
    .unwrap();
    let output = folder.run(&["report", "-m", "short.yaml", "--address", &address, "-f", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // How many looks fit into the window is the machine's business; what each of them saw is not.
    let events = &report["objectives"][1]["events"];
    let steps = events["bad"].as_u64().unwrap();
    assert!(steps >= 1 && steps < served.load(Ordering::SeqCst), "{events}");
    assert_eq!(events["good"], steps * 10);

    std::fs::write(
        folder.path("long.yaml"),
        published.replace("window: 1m", "window: 30d"),
    )
    .unwrap();
    let output = folder.run(&["report", "-m", "long.yaml", "--address", &address]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--slo FILE"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn nobody_there_is_an_error_that_says_where() {
    let folder = Folder::new();
    // Bound, and closed again: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let output = folder.run(&["report", "-m", PUBLISHED, "--address", &address]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        text(&output.stderr).contains(&format!("no answer from http://{address}")),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn watching_without_a_terminal_prints_lines() {
    let folder = Folder::new();
    let mut child = folder
        .command()
        .args(REPORT)
        .arg("-w")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(
        first.starts_with("1700000060.000 met: ebpf-2021-demo: 99.5% of the responses"),
        "{first}"
    );
    let second = lines.next().unwrap().unwrap();
    assert!(
        second.contains("missed") && second.contains("990/1010 events"),
        "{second}"
    );
    signal(child.id(), nix::libc::SIGTERM);
    assert!(child.wait().unwrap().success());
}

fn signal(process: u32, signal: i32) {
    let process = nix::unistd::Pid::from_raw(i32::try_from(process).unwrap());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::try_from(signal).unwrap()).unwrap();
}

/// Shows the screen on a terminal of our own, ends it, and gives what was written and whether lines are echoed again.
fn on_terminal(folder: &Folder, end: impl FnOnce(u32, &mut std::fs::File)) -> (String, bool) {
    let pty = openpty(
        Some(&nix::pty::Winsize {
            ws_row: 30,
            ws_col: 160,
            ws_xpixel: 0,
            ws_ypixel: 0,
        }),
        None,
    )
    .unwrap();
    let slave = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let mut child = folder
        .command()
        .args(REPORT)
        .arg("-w")
        .env("TERM", "xterm-256color")
        .stdin(slave(&pty.slave))
        .stdout(slave(&pty.slave))
        .stderr(slave(&pty.slave))
        .spawn()
        .unwrap();
    let mut master = std::fs::File::from(pty.master);
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("quit") {
        let bytes = master.read(&mut buffer).unwrap();
        seen += &text(&buffer[..bytes]);
    }
    assert!(
        !tcgetattr(&pty.slave)
            .unwrap()
            .local_flags
            .contains(LocalFlags::ECHO)
    );
    end(child.id(), &mut master);
    assert!(child.wait().unwrap().success());
    let is_restored = tcgetattr(&pty.slave)
        .unwrap()
        .local_flags
        .contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
    drop(pty.slave);
    // A terminal without anybody on its other side ends with an error.
    while let Ok(bytes @ 1..) = master.read(&mut buffer) {
        seen += &text(&buffer[..bytes]);
    }
    (seen, is_restored)
}

#[test]
fn the_screen_leaves_the_terminal_as_it_was() {
    const ENTER: &str = "\x1b[?1049h";
    const LEAVE: &str = "\x1b[?1049l";
    let folder = Folder::new();
    let control_c = |_, master: &mut std::fs::File| master.write_all(b"\x03").unwrap();
    let terminate = |process, _: &mut std::fs::File| signal(process, nix::libc::SIGTERM);
    for (seen, is_restored) in [on_terminal(&folder, control_c), on_terminal(&folder, terminate)] {
        assert!(seen.contains(ENTER) && seen.contains("missed"), "{seen:?}");
        assert!(seen.rfind(LEAVE) > seen.rfind(ENTER), "{seen:?}");
        assert!(is_restored);
    }
}

#[test]
fn help_names_what_there_is() {
    let folder = Folder::new();
    assert!(Path::new(PUBLISHED).is_file());
    let help = text(&folder.run(&["report", "--help"]).stdout);
    for word in [
        "--watch",
        "--format",
        "--output",
        "--samples",
        "--address",
        "markdown",
    ] {
        assert!(help.contains(word), "{help}");
    }
}
