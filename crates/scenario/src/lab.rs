//! What a scenario means for a VM: the [`Stage`] before the checkpoint and the [`Job`] after it.
//!
//! | In the guest | What |
//! |---|---|
//! | `/lab/PROGRAM/` | files of a workload or load, and its working directory |
//! | `/lab/out/` | outputs |
//! | `/lab/probe.yaml`, `/lab/probe-2.yaml` and so on | the probe manifests |
//! | `/lab/inventory.yaml` | what tells the probe daemon of containers |
//! | `/lab/objectives.yaml` | objectives whose history the probe daemon keeps |
//! | `/lab/bin/probed` | the probe daemon; the caller adds its bytes, which no scenario knows |

use std::collections::{BTreeMap, BTreeSet};

use wire::{Capture, Collect, File, Job, Link, Loader, Probe, Readiness, Stage, Workload};

use crate::{
    Content, OracleKind, Scenario, builds,
    builds::own_name,
    check::EXCHANGES,
    file::{Program, Ready, ScenarioFile},
};

/// Where the probe manifest lies in the guest.
pub const MANIFEST_PATH: &str = "/lab/probe.yaml";
/// Where the probe daemon must lie in the guest.
pub const PROBED_PATH: &str = "/lab/bin/probed";
/// Where outputs lie in the guest.
pub const OUTPUT_FOLDER: &str = "/lab/out";

/// Output that the guest adds when there is a probe: what the daemon serves.
pub(crate) const METRICS: &str = "metrics";
/// Output of `[capture]`: the pcap file.
pub(crate) const CAPTURE: &str = "capture";

const PROBE_ADDRESS: &str = "127.0.0.1:9464";

/// Outputs that a run has without `[[output]]`.
pub(crate) fn own_outputs(file: &ScenarioFile) -> Vec<String> {
    let of_probe = file
        .probe
        .iter()
        .flat_map(|_| [METRICS.to_owned(), EXCHANGES.to_owned()]);
    let of_capture = file.capture.iter().map(|_| CAPTURE.to_owned());
    of_probe
        .chain(of_capture)
        .chain(file.loads.iter().map(load_output))
        .collect()
}

fn load_output(load: &Program) -> String {
    format!("load.{}", load.name.get_ref())
}

impl Scenario {
    /// The files it needs, as it names them: relative to its own folder, once each. What its builds make is
    /// not among them.
    pub fn files(&self) -> Vec<&str> {
        let of_programs = self
            .file
            .workloads
            .iter()
            .chain(&self.file.loads)
            .flat_map(|program| &program.files);
        let of_probe = self
            .file
            .probe
            .iter()
            .flat_map(|probe| probe.files().map(|(file, ..)| file));
        let of_builds = self.file.builds.iter().flat_map(|build| &build.files);
        let built: BTreeSet<&str> = builds::outputs(&self.file)
            .map(|output| output.get_ref().as_str())
            .collect();
        let mut files: Vec<&str> = of_programs
            .chain(of_probe)
            .chain(of_builds)
            .map(|file| file.get_ref().as_str())
            .filter(|file| !built.contains(file))
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// What is set up before the checkpoint, and the blobs it names, from blob 0. `files` holds
    /// [`Scenario::files`] and what the builds made, under the same names; a file that is not there is left out.
    pub fn stage(&self, files: &BTreeMap<String, Content>) -> (Stage, Vec<Vec<u8>>) {
        let mut blobs = Blobs {
            first: 0,
            bytes: Vec::new(),
        };
        let stage = Stage {
            modules: self.file.modules.clone(),
            files: program_files(&self.file.workloads, files, &mut blobs),
            links: self.links(),
            cgroups: self.file.cgroups.clone(),
            workloads: self
                .file
                .workloads
                .iter()
                .map(|program| workload(program, None))
                .collect(),
        };
        (stage, blobs.bytes)
    }

    /// What is done after the checkpoint, and the blobs it names, from blob `first_blob`. `name` is the
    /// scenario's; the
    /// loader matters only where there is a probe, and `files` are as for [`Scenario::stage`].
    pub fn job(
        &self,
        name: &str,
        seed: u64,
        loader: Loader,
        files: &BTreeMap<String, Content>,
        first_blob: usize,
    ) -> (Job, Vec<Vec<u8>>) {
        let mut blobs = Blobs {
            first: first_blob,
            bytes: Vec::new(),
        };
        let mut job_files = program_files(&self.file.loads, files, &mut blobs);
        for (reference, path, _) in self.file.probe.iter().flat_map(|probe| probe.files()) {
            if let Some(content) = files.get(reference.get_ref()) {
                job_files.push(blobs.file(path, content));
            }
        }
        let load = |program| workload(program, Some(format!("{OUTPUT_FOLDER}/{}", load_output(program))));
        let job = Job {
            scenario: name.to_owned(),
            seed,
            cpus: self.cpus(),
            deadline_guest_seconds: *self.file.deadline_guest_seconds.get_ref(),
            files: job_files,
            sysctls: self.file.sysctls.clone(),
            probe: self.probe(loader),
            capture: self.file.capture.as_ref().map(|capture| Capture {
                interface: capture.interface.clone(),
                filter: capture.filter.clone(),
                path: capture_path(),
            }),
            loads: self.file.loads.iter().map(load).collect(),
            shell: false,
            collect: self.collect(),
        };
        (job, blobs.bytes)
    }

    fn links(&self) -> Vec<Link> {
        let texts =
            |spanned: &[toml::Spanned<String>]| spanned.iter().map(|text| text.get_ref().clone()).collect();
        let link = |link: &crate::file::Link| Link {
            name: link.name.get_ref().clone(),
            address: texts(&link.address),
            peer: link.peer.get_ref().clone(),
            peer_address: texts(&link.peer_address),
            namespace: link.namespace.clone(),
            mtu_bytes: link.mtu_bytes,
        };
        self.file.links.iter().map(link).collect()
    }

    fn probe(&self, loader: Loader) -> Option<Probe> {
        let probe = self.file.probe.as_ref()?;
        let mut command = vec![PROBED_PATH.to_owned(), "run".to_owned()];
        for (_, path, option) in probe.files() {
            command.extend([option.to_owned(), path]);
        }
        command.extend(["--listen", PROBE_ADDRESS, "--loader", loader.name()].map(str::to_owned));
        Some(Probe {
            command,
            address: PROBE_ADDRESS.to_owned(),
            loader,
            settle_milliseconds: probe.settle_milliseconds,
        })
    }

    /// The daemon's metrics are not in this list: the guest scrapes them, they are no file.
    fn collect(&self) -> Vec<Collect> {
        let mut collect = Vec::new();
        let mut add = |name: &str, path: String| {
            collect.push(Collect {
                name: name.to_owned(),
                path,
            })
        };
        if self.reads_exchanges() {
            add(EXCHANGES, format!("{OUTPUT_FOLDER}/exchanges.jsonl"));
        }
        if self.file.capture.is_some() {
            add(CAPTURE, capture_path());
        }
        for load in &self.file.loads {
            let own = format!("{OUTPUT_FOLDER}/{}", load_output(load));
            add(
                &load_output(load),
                load.stdout.as_ref().map_or(own, |path| path.get_ref().clone()),
            );
        }
        for output in &self.file.outputs {
            add(output.name.get_ref(), output.path.get_ref().clone());
        }
        collect
    }

    /// Not every manifest asks for an exchange log, so it is only brought home when something reads it.
    fn reads_exchanges(&self) -> bool {
        let selected = self
            .expectations
            .iter()
            .flat_map(|expectation| expectation.check.selects());
        let sources = selected.map(|select| select.source.get_ref());
        let oracles = self
            .file
            .oracles
            .iter()
            .filter(|oracle| oracle.kind != OracleKind::Capture);
        sources
            .chain(oracles.map(|oracle| oracle.output.get_ref()))
            .any(|name| name == EXCHANGES)
    }
}

fn capture_path() -> String {
    format!("{OUTPUT_FOLDER}/capture.pcap")
}

fn program_folder(program: &Program) -> String {
    format!("/lab/{}", program.name.get_ref())
}

fn program_files(programs: &[Program], files: &BTreeMap<String, Content>, blobs: &mut Blobs) -> Vec<File> {
    let mut written = Vec::new();
    for program in programs {
        for reference in program.files.iter().map(|file| file.get_ref()) {
            let Some(content) = files.get(reference) else {
                continue;
            };
            let path = format!("{}/{}", program_folder(program), own_name(reference));
            written.push(blobs.file(path, content));
        }
    }
    written
}

fn workload(program: &Program, default_stdout: Option<String>) -> Workload {
    let text = |spanned: &Option<toml::Spanned<String>>| spanned.as_ref().map(|text| text.get_ref().clone());
    Workload {
        name: program.name.get_ref().clone(),
        command: program.command.get_ref().clone(),
        directory: program_folder(program),
        environment: program.environment.clone(),
        namespace: text(&program.namespace),
        cgroup: text(&program.cgroup),
        ready: program.ready.as_ref().map(|ready| readiness(ready.get_ref())),
        stdout: text(&program.stdout).or(default_stdout),
        end: program.end.as_ref().map(|end| *end.get_ref()).unwrap_or_default(),
    }
}

fn readiness(ready: &Ready) -> Readiness {
    match ready {
        Ready::Tcp(address) => Readiness::Tcp(address.clone()),
        Ready::File(path) => Readiness::File(path.clone()),
        Ready::Http(url) => {
            let (address, path) = url.split_once('/').unwrap_or((url, ""));
            Readiness::Http {
                address: address.to_owned(),
                path: format!("/{path}"),
            }
        }
    }
}

/// Blobs in the order in which files name them.
struct Blobs {
    first: usize,
    bytes: Vec<Vec<u8>>,
}

impl Blobs {
    fn file(&mut self, path: String, content: &Content) -> File {
        self.bytes.push(content.bytes.clone());
        File {
            path,
            mode: if content.executable { 0o755 } else { 0o644 },
            blob: self.first + self.bytes.len() - 1,
        }
    }
}
