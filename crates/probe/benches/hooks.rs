//! What our programs cost per event on this machine's kernel, in nanoseconds as the kernel counts them, beside the tools of
//! bcc and bpftrace for the same job. All run at once, so each event is handled by everybody; what is compared are run times
//! of BPF programs, not of the workload. Needs root, and the daemon of `just build`. A tool that is not installed, or does not
//! start here, is left out, and that is said. Exact numbers are `probelab bench hooks`.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a measurement may end at once")]

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use probe::loaded::{LoadedProgram, programs};

/// Events of a kind, who handles them, and how one is made.
struct Job {
    name: &'static str,
    ours: &'static [&'static str],
    peers: &'static [Peer],
    event: fn() -> Box<dyn FnMut()>,
}

/// A tool, and what its programs' names begin with.
struct Peer {
    command: &'static [&'static str],
    programs: &'static [&'static str],
}

/// One that loads no programs but those of the job.
const fn bcc(command: &'static [&'static str]) -> Peer {
    Peer {
        command,
        programs: &[""],
    }
}

const fn bpftrace(command: &'static [&'static str], programs: &'static [&'static str]) -> Peer {
    Peer { command, programs }
}

/// What stands for this program's own path among a tool's arguments.
const TARGET: &str = "TARGET";
const SYMBOL: &str = "called_function";

const JOBS: [Job; 5] = [
    Job {
        name: "round trip between two threads",
        ours: &["runq_"],
        peers: &[
            bcc(&["runqlat-libbpf", "3600", "1"]),
            bpftrace(&["runqlat.bt"], &["sched_wakeup", "sched_switch"]),
        ],
        event: round_trips,
    },
    Job {
        name: "connect",
        ours: &["connect_"],
        peers: &[
            bcc(&["tcpconnlat-libbpf"]),
            bpftrace(&["tcpconnect.bt"], &["tcp_connect"]),
        ],
        event: connects,
    },
    Job {
        name: "exec",
        ours: &["activity_sched"],
        peers: &[
            bcc(&["execsnoop-libbpf"]),
            bpftrace(&["execsnoop.bt"], &["sys_enter_exec"]),
        ],
        event: executions,
    },
    Job {
        name: "open",
        ours: &["activity_sys"],
        peers: &[
            bcc(&["opensnoop-libbpf"]),
            bpftrace(&["opensnoop.bt"], &["sys_enter_open", "sys_exit_open"]),
        ],
        event: opens,
    },
    Job {
        name: "call",
        ours: &["calls_"],
        peers: &[bcc(&["funclatency-libbpf", TARGET])],
        event: calls,
    },
];

fn round_trips() -> Box<dyn FnMut()> {
    let (ask, asked) = sync_channel::<()>(0);
    let (answer, answered) = sync_channel::<()>(0);
    thread::spawn(move || while asked.recv().is_ok() && answer.send(()).is_ok() {});
    Box::new(move || {
        ask.send(()).unwrap();
        answered.recv().unwrap();
    })
}

fn connects() -> Box<dyn FnMut()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    Box::new(move || drop(TcpStream::connect(address).unwrap()))
}

fn executions() -> Box<dyn FnMut()> {
    Box::new(|| assert!(Command::new("true").status().unwrap().success()))
}

fn opens() -> Box<dyn FnMut()> {
    Box::new(|| drop(fs::File::open("/dev/null").unwrap()))
}

fn calls() -> Box<dyn FnMut()> {
    let mut value = 0;
    Box::new(move || value = called_function(black_box(value)))
}

/// What the uprobes of both sit on.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn called_function(value: u64) -> u64 {
    black_box(value).wrapping_mul(3) + 1
}

/// Run time in nanoseconds, and runs, of the programs of a process whose names begin with one of these.
fn spent(process: &str, names: &[&str]) -> (u64, u64) {
    let fits = |program: &&LoadedProgram| {
        program.process == process && names.iter().any(|name| program.name.starts_with(name))
    };
    let all = programs().unwrap();
    let of = |number: fn(&LoadedProgram) -> u64| all.iter().filter(fits).map(number).sum();
    (of(|program| program.run_time_ns), of(|program| program.runs))
}

/// A program that runs until this is dropped.
struct Running(Child);

impl Running {
    /// Its process' name, when it has one of these programs.
    fn loaded(&self, names: &[&str]) -> Option<String> {
        let process = fs::read_to_string(format!("/proc/{}/comm", self.0.id())).ok()?;
        let process = process.trim_end().to_owned();
        let all = programs().unwrap();
        let is_loaded = |name: &&str| {
            all.iter()
                .any(|program| program.process == process && program.name.starts_with(*name))
        };
        names.iter().all(is_loaded).then_some(process)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended already is fine.
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGINT);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            if matches!(self.0.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// bcc and bpftrace look for tracepoints where debugfs is usually mounted; a mount is seen by the tool alone. A tool that
/// needs none may start where it cannot be mounted.
const START: &str = "[ -e /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug || :
exec \"$0\" \"$@\"";

/// Debian puts such tools where only root looks, and has called bcc's so since its release 13.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/share/bpftrace/tools";
    let names = [name, name.trim_end_matches("-libbpf")];
    let mut candidates = names
        .iter()
        .flat_map(|name| path.split(':').map(move |folder| Path::new(folder).join(name)));
    candidates.find(|candidate| candidate.exists())
}

/// It and the name of its process; nothing when it is not there or does not come to load its programs.
fn start(peer: &Peer) -> Option<(Running, String)> {
    let (name, arguments) = peer.command.split_first().unwrap();
    let program = find(name)?;
    let own = env::current_exe().unwrap();
    let target = format!("{}:{SYMBOL}", own.display());
    let child = Command::new("unshare")
        .args(["--mount", "sh", "-c", START])
        .arg(program)
        .args(arguments.iter().map(|argument| match *argument {
            TARGET => target.as_str(),
            argument => argument,
        }))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut running = Running(child);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) && running.0.try_wait().ok()?.is_none() {
        if let Some(process) = running.loaded(peer.programs) {
            return Some((running, process));
        }
        thread::sleep(Duration::from_millis(200));
    }
    None
}

/// Our daemon with all that the jobs need.
fn start_ours(folder: &Path) -> Running {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let program = env::var_os("PROBELAB_PROBED").map_or_else(
        || target.join("x86_64-unknown-linux-gnu/release/probed"),
        PathBuf::from,
    );
    let kinds = ["RunqProbe", "ConnectProbe", "ActivityProbe"]
        .map(|kind| (kind, "{}".to_owned()))
        .into_iter()
        .chain([(
            "CallsProbe",
            format!(
                "{{program: {}, symbol: {SYMBOL}}}",
                env::current_exe().unwrap().display()
            ),
        )]);
    let manifest: Vec<String> = kinds
        .map(|(kind, spec)| {
            let name = kind.to_lowercase();
            format!(
                "apiVersion: probelab.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {name}\nspec: {spec}\n"
            )
        })
        .collect();
    let path = folder.join("probe.yaml");
    fs::write(&path, manifest.join("---\n")).unwrap();
    let child = Command::new(&program)
        .args(["run", "--listen", "127.0.0.1:0", "--manifest"])
        .arg(&path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `just build` makes it", program.display()));
    let running = Running(child);
    let begin = Instant::now();
    while JOBS.iter().any(|job| spent("probed", job.ours) == (0, 0)) {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "the daemon's programs do not run"
        );
        for job in &JOBS {
            (job.event)()();
        }
        thread::sleep(Duration::from_millis(200));
    }
    running
}

fn hooks(criterion: &mut Criterion) {
    if !geteuid().is_root() {
        println!("hooks: not measured, because loading BPF programs needs root");
        return;
    }
    let _statistics = probe::stats::enable().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _ours = start_ours(folder.path());
    for job in &JOBS {
        let started: Vec<(&Peer, Option<(Running, String)>)> =
            job.peers.iter().map(|peer| (peer, start(peer))).collect();
        let event = RefCell::new((job.event)());
        let mut group = criterion.benchmark_group(job.name);
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(20)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1));
        let mut per_event_ns: BTreeMap<&str, f64> = BTreeMap::new();
        let mut measure = |label: &'static str, process: &str, names: &[&str]| {
            let (mut total_ns, mut events) = (0, 0);
            group.bench_function(label, |bencher| {
                bencher.iter_custom(|iterations| {
                    let (before_ns, _) = spent(process, names);
                    for _ in 0..iterations {
                        event.borrow_mut()();
                    }
                    let (after_ns, _) = spent(process, names);
                    total_ns += after_ns - before_ns;
                    events += iterations;
                    Duration::from_nanos((after_ns - before_ns).max(1))
                });
            });
            if events > 0 {
                per_event_ns.insert(label, total_ns as f64 / events as f64);
            }
        };
        measure("probed", "probed", job.ours);
        for (peer, running) in &started {
            let tool = peer.command[0];
            match running {
                Some((_, process)) => measure(tool, process, peer.programs),
                None => println!("{}/{tool}: not installed, or it does not start here", job.name),
            }
        }
        group.finish();
        if let Some(ours) = per_event_ns.get("probed") {
            for (tool, peer) in per_event_ns.iter().filter(|(label, _)| **label != "probed") {
                println!("{}: {:.2} of {tool}'s", job.name, ours / peer);
            }
        }
    }
}

criterion_group!(benches, hooks);
criterion_main!(benches);
