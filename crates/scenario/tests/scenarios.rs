//! The project's own scenarios: each can be read, and means for a VM what it should.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

use std::{collections::BTreeMap, fs, path::Path};

use scenario::{Content, Scenario};
use wire::{Loader, Readiness};

/// Name and text of every scenario of the project.
fn all() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let mut all: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path.join("scenario.toml")).unwrap())
        })
        .collect();
    all.sort();
    all
}

fn text(name: &str) -> String {
    all().into_iter().find(|(known, _)| known == name).unwrap().1
}

fn parsed(name: &str) -> Scenario {
    Scenario::parse(name, &text(name)).unwrap()
}

/// Each file of a scenario, with its own name as its bytes.
fn named_by_themselves(scenario: &Scenario) -> BTreeMap<String, Content> {
    scenario
        .files()
        .into_iter()
        .map(|file| (file.to_owned(), file.as_bytes().to_vec().into()))
        .collect()
}

#[test]
fn all_can_be_read() {
    assert!(!all().is_empty());
    for (name, text) in all() {
        if let Err(error) = Scenario::parse(&name, &text) {
            panic!("{error} ({:?})", error.help());
        }
    }
}

#[test]
fn the_control_of_http_latency_differs_only_in_what_it_must() {
    let lines = |name: &str| text(name).lines().map(str::to_owned).collect::<Vec<_>>();
    let (real, control) = (lines("http-latency"), lines("http-latency-wrong-pairing"));
    let differing: Vec<&String> = control.iter().filter(|line| !real.contains(line)).collect();
    assert_eq!(
        differing.len(),
        4,
        "about, must_fail, files, and for how long it is asked: {differing:#?}"
    );
}

#[test]
fn http_latency_becomes_a_stage_and_a_job() {
    let scenario = parsed("http-latency-wrong-pairing");
    assert_eq!(scenario.files(), ["../http-latency/server.py", "probe.yaml"]);
    assert_eq!(scenario.capture_http_ports(), Some(&[8000][..]));
    let files = named_by_themselves(&scenario);

    let (stage, blobs) = scenario.stage(&files);
    assert_eq!(blobs, [b"../http-latency/server.py"]);
    assert_eq!(
        (stage.files[0].path.as_str(), stage.files[0].blob),
        ("/lab/server/server.py", 0)
    );
    let server = &stage.workloads[0];
    assert_eq!(server.directory, "/lab/server");
    let ready = Readiness::Http {
        address: "127.0.0.1:8000".to_owned(),
        path: "/ready".to_owned(),
    };
    assert_eq!(server.ready, Some(ready));

    let (job, blobs) = scenario.job("http-latency", 7, Loader::Aya, &files, 5);
    assert_eq!(blobs, [b"probe.yaml"]);
    assert_eq!(
        (job.files[0].path.as_str(), job.files[0].blob),
        ("/lab/probe.yaml", 5)
    );
    assert_eq!((job.seed, job.cpus, job.deadline_guest_seconds), (7, 1, 120));
    let collect: Vec<(&str, &str)> = job
        .collect
        .iter()
        .map(|collect| (collect.name.as_str(), collect.path.as_str()))
        .collect();
    assert_eq!(
        collect,
        [
            ("exchanges", "/lab/out/exchanges.jsonl"),
            ("capture", "/lab/out/capture.pcap"),
            ("load.hey", "/lab/out/load.hey"),
            ("server", "/lab/out/server.jsonl"),
        ]
    );
    assert_eq!(job.loads[0].stdout.as_deref(), Some("/lab/out/load.hey"));
}

#[test]
fn the_stage_does_not_depend_on_the_seed() {
    let scenario = parsed("http-latency");
    let files = BTreeMap::new();
    assert_ne!(
        scenario.job("x", 1, Loader::Aya, &files, 0).0,
        scenario.job("x", 2, Loader::Aya, &files, 0).0
    );
    assert_eq!(scenario.stage(&files), scenario.stage(&files));
}

#[test]
fn the_daemon_is_told_which_loader_to_use() {
    let job = |name: &str, loader| parsed(name).job(name, 1, loader, &BTreeMap::new(), 0).0;
    for loader in Loader::ALL {
        let job = serde_json::to_value(job("http-latency", loader)).unwrap();
        assert_eq!(job["probe"]["loader"], loader.name());
        let command: Vec<&str> = job["probe"]["command"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        assert_eq!(
            command.join(" "),
            format!(
                "/lab/bin/probed run --manifest /lab/probe.yaml --listen 127.0.0.1:9464 --loader {loader}"
            )
        );
    }
    assert_eq!(job("canary", Loader::Aya), job("canary", Loader::Libbpf));
}

#[test]
fn the_daemon_is_given_objectives_where_there_are_some() {
    let scenario = parsed("slo-http");
    let (job, blobs) = scenario.job("slo-http", 1, Loader::Aya, &named_by_themselves(&scenario), 0);
    let file = job
        .files
        .iter()
        .find(|file| file.path == "/lab/objectives.yaml")
        .unwrap();
    assert_eq!(blobs[file.blob], b"reliably.yaml");
    let command = job.probe.unwrap().command.join(" ");
    assert!(command.contains(" --slo /lab/objectives.yaml "), "{command}");
}

#[test]
fn no_exchange_log_is_asked_of_a_manifest_that_writes_none() {
    let (job, _) = parsed("broken-silent-probe").job("x", 1, Loader::Aya, &BTreeMap::new(), 0);
    assert!(job.probe.is_some());
    assert!(job.collect.iter().all(|collect| collect.name != "exchanges"));
}

const BUILT: &str = r#"
about = "a program that is built"
deadline_guest_seconds = 10
deadline_wall_seconds = 20
cpus = 1
must_end = "panic"

[[build]]
files = ["../calls/triangle.f90"]
command = ["gfortran", "-o", "triangle", "triangle.f90"]
outputs = ["triangle", "map.txt"]

[[load]]
name = "numbers"
command = ["./triangle"]
files = ["triangle", "map.txt", "rows.txt"]
"#;

#[test]
fn what_a_build_makes_is_run_and_not_read() {
    let scenario = Scenario::parse("built", BUILT).unwrap();
    assert_eq!(scenario.files(), ["../calls/triangle.f90", "rows.txt"]);
    let builds = scenario.builds();
    assert_eq!(builds[0].command[0], "gfortran");
    assert_eq!((builds[0].files.len(), builds[0].outputs.len()), (1, 2));

    let mut files = named_by_themselves(&scenario);
    for (name, executable) in [("triangle", true), ("map.txt", false)] {
        let bytes = name.as_bytes().to_vec();
        files.insert(name.to_owned(), Content { bytes, executable });
    }
    let (job, blobs) = scenario.job("built", 1, Loader::Aya, &files, 0);
    let written: Vec<(&str, u32)> = job
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.mode))
        .collect();
    assert_eq!(
        written,
        [
            ("/lab/numbers/triangle", 0o755),
            ("/lab/numbers/map.txt", 0o644),
            ("/lab/numbers/rows.txt", 0o644),
        ]
    );
    assert_eq!(blobs[0], b"triangle");
}
