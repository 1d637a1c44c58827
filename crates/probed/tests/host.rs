//! The daemon as it is deployed, on this machine's own kernel, judged by others: a program's own lines, a real Prometheus,
//! its promtool, and a receiver made of the protocol's own generated types. Skips, and says so, where BPF may not be used.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value::Value::StringValue},
    metrics::v1::{
        NumberDataPoint,
        metric::Data,
        number_data_point::Value::{AsDouble, AsInt},
    },
};
use prost::Message;

/// Between two looks at what another program is about to do.
const LOOK: Duration = Duration::from_millis(50);
/// Looks until it is given up.
const LOOKS: u32 = 600;

/// Prints a line per call of `area_`, as often as its argument says, whenever it is given a line.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) int area_(int x) { __asm__ volatile(""); return x * x; }
int main(int count, char **arguments)
{
	char line[8];
	while (fgets(line, sizeof(line), stdin)) {
		for (int i = 0; i < atoi(arguments[1]); i++)
			printf("triangle %d\n", area_(i));
		printf("done\n");
		fflush(stdout);
	}
	return 0;
}
"#;

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn build(folder: &Path) -> PathBuf {
    let source = folder.join("program.c");
    fs::write(&source, PROGRAM).unwrap();
    let program = folder.join("test");
    let mut compiler = Command::new("cc");
    compiler.args(["-static", "-O1", "-o"]).args([&program, &source]);
    assert!(compiler.status().unwrap().success());
    program
}

/// A program that is told when to make its calls.
struct Caller {
    running: Running,
    lines: BufReader<ChildStdout>,
}

impl Caller {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let running = Running(child);
        Self { running, lines }
    }

    /// Makes it call, and says how many lines it printed.
    fn call(&mut self) -> u64 {
        let stdin = self.running.0.stdin.as_mut().unwrap();
        stdin.write_all(b"go\n").unwrap();
        let mut calls = 0;
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            if line == "done\n" {
                return calls;
            }
            assert!(line.starts_with("triangle "), "{line}");
            calls += 1;
        }
    }
}

/// The daemon, and where it serves; nothing where BPF may not be used.
fn probed(command: &mut Command) -> Option<(Running, String)> {
    let command = command.env("RUST_LOG", "info").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            eprintln!("{line}");
            // Nobody listens once the address is known; the lines still have to be taken.
            let _ = send.send(line);
        }
    });
    while let Ok(line) = receive.recv() {
        if let Some((_, rest)) = line.split_once("http://").or_else(|| line.split_once("https://")) {
            return Some((running, rest.split('/').next().unwrap().to_owned()));
        }
        if line.contains("Operation not permitted") {
            eprintln!("SKIPPED: {line}");
            return None;
        }
    }
    panic!("probed ended before it served");
}

fn run(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probed"));
    command.args(["run", "--listen", "127.0.0.1:0"]).args(arguments);
    command
}

/// What is answered with status 200; nothing for any other answer, or for none.
fn try_get(address: &str, path: &str) -> Option<String> {
    try_get_as(address, path, "*/*")
}

fn try_get_as(address: &str, path: &str, accept: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

fn get(address: &str, path: &str) -> String {
    try_get(address, path).unwrap()
}

fn get_as(address: &str, path: &str, accept: &str) -> String {
    try_get_as(address, path, accept).unwrap()
}

/// Value by series, as the text names it.
fn series(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(LOOK);
    }
    panic!("waited in vain until {what}");
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Four probes that need nothing of this machine but its kernel.
fn manifest(folder: &Path, program: &Path) -> String {
    let document = |kind: &str, spec: &str| {
        format!(
            "---\napiVersion: probelab.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {kind}}}\nspec: {spec}\n"
        )
    };
    let calls = format!("{{program: {}, symbol: area_}}", program.display());
    let text: String = [
        ("CallsProbe", &*calls),
        ("RunqProbe", "{}"),
        ("ActivityProbe", "{}"),
        ("ConnectProbe", "{}"),
    ]
    .map(|(kind, spec)| document(kind, spec))
    .concat();
    write(folder, "probe.yaml", &text)
}

/// Families that stand still while their caller does.
fn still(all: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let names = ["function_calls", "probelab_map_max_entries", "probelab_attached"];
    all.iter()
        .filter(|(series, _)| names.iter().any(|name| series.starts_with(name)))
        .map(|(series, value)| (series.clone(), *value))
        .collect()
}

fn lint(text: &str) {
    let mut lint = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    lint.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = lint.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn has_prometheus() -> bool {
    let is_there = Command::new("prometheus").arg("--version").output().is_ok();
    if !is_there {
        eprintln!("SKIPPED: prometheus is not installed; ci/bootstrap installs it");
    }
    is_there
}

/// A real one.
struct Prometheus {
    address: String,
    _running: Running,
}

impl Prometheus {
    /// Scrapes each second what a job says.
    fn start(folder: &Path, job: &str) -> Self {
        // It cannot be told to choose a free port; one that was just given back is not given again at once.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config =
            format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: probed\n  {job}\n");
        let config = write(folder, "prometheus.yml", &config);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={config}"))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::null())
            .spawn();
        Self {
            address: address.to_string(),
            _running: Running(child.unwrap()),
        }
    }

    fn ask(&self, query: &str) -> Option<f64> {
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        // It answers 503 until it has started.
        let answer = try_get(&self.address, &format!("/api/v1/query?query={query}"))?;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["result"].get(0)?["value"][1]
            .as_str()?
            .parse()
            .ok()
    }
}

#[test]
fn a_real_prometheus_answers_with_the_same_numbers() {
    if !has_prometheus() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path());
    let manifest = manifest(folder.path(), &program);
    let Some((_probed, address)) = probed(&mut run(&["--manifest", &manifest])) else {
        return;
    };
    let mut caller = Caller::start(Command::new(&program).arg("7"));
    let calls = caller.call() + caller.call();
    assert_eq!(calls, 14);
    let text = get(&address, "/metrics");
    lint(&text);

    let prometheus = Prometheus::start(
        folder.path(),
        &format!("static_configs: [{{targets: ['{address}']}}]"),
    );
    let ask = |query: &str| prometheus.ask(query);
    let total = until("Prometheus has scraped", || ask("sum(function_calls_total)"));
    assert_eq!(total, calls as f64);
    let shown = still(&series(&text));
    assert!(shown.len() > 5, "{shown:?}");
    for (name, value) in shown {
        assert_eq!(ask(&name), Some(value), "{name}");
    }
    assert!(ask("target_info").is_some() && ask("probelab_scrape_duration_seconds").is_some());
    // Since when it counts is told to a server that asks in OpenMetrics, which this one does.
    assert!(ask("max(function_calls_created)").is_some_and(|created| created > 1.6e9));
}

#[test]
fn over_tls_only_those_with_the_token_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = write(folder.path(), "certificate.pem", &own.cert.pem());
    let key = write(folder.path(), "key.pem", &own.signing_key.serialize_pem());
    let token = write(folder.path(), "token", "s3cret\n");
    let manifest = manifest(folder.path(), &build(folder.path()));
    let guarded = [
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &key,
        "--token-file",
        &token,
    ];
    let Some((_probed, address)) = probed(run(&["--manifest", &manifest]).args(guarded)) else {
        return;
    };

    assert_eq!(try_get(&address, "/metrics"), None, "not without TLS");
    let record = |options: &[&str]| {
        let recording = folder.path().join("recording");
        let mut command = Command::new(env!("CARGO_BIN_EXE_probed"));
        command.args([
            "state", "record", "--from", &address, "--every", "1", "--for", "0.1",
        ]);
        let output = command.args(options).arg(&recording).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(fs::read_to_string(&recording).unwrap())
        } else {
            Err(said)
        }
    };
    let trusting = ["--ca-certificate", &certificate];
    let refused = record(&trusting).unwrap_err();
    assert!(refused.contains("401"), "{refused}");
    let refused = record(&["--ca-certificate", &token]).unwrap_err();
    assert!(refused.contains("no certificate in it"), "{refused}");
    let text = record(&[trusting, ["--token-file", &token]].concat()).unwrap();
    assert!(text.contains("probelab_attached"), "{text}");
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = write(folder.path(), "other.pem", &other.cert.pem());
    let refused = record(&["--ca-certificate", &other, "--token-file", &token]).unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");

    if has_prometheus() {
        let prometheus = Prometheus::start(
            folder.path(),
            &format!(
                "scheme: https\n  tls_config: {{ca_file: {certificate}}}\n  authorization: {{credentials_file: \
                 {token}}}\n  static_configs: [{{targets: ['{address}']}}]"
            ),
        );
        let attached = until("Prometheus has scraped", || {
            prometheus.ask("min(probelab_attached)")
        });
        assert_eq!(attached, 1.0);
    }
}

/// One push of a connection; nothing when it has ended.
fn take_push(reader: &mut BufReader<TcpStream>) -> Option<ExportMetricsServiceRequest> {
    let (mut length, mut line) = (None, String::new());
    while reader.read_line(&mut line).ok()? > 0 && line != "\r\n" {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        line.clear();
    }
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    reader.get_mut().write_all(answer).unwrap();
    Some(ExportMetricsServiceRequest::decode(&*body).unwrap())
}

fn receiver() -> (String, mpsc::Receiver<ExportMetricsServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            while let Some(request) = take_push(&mut reader) {
                if send.send(request).is_err() {
                    return;
                }
            }
        }
    });
    (address, receive)
}

fn label(pair: &KeyValue) -> String {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(StringValue(value)) => format!("{}=\"{value}\"", pair.key),
        other => panic!("{other:?}"),
    }
}

fn point(name: &str, point: &NumberDataPoint) -> (String, f64) {
    assert!(point.start_time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano);
    let labels: Vec<String> = point.attributes.iter().map(label).collect();
    let labels = match labels.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", labels.join(",")),
    };
    let value = match point.value.unwrap() {
        AsInt(number) => number as f64,
        AsDouble(number) => number,
    };
    (format!("{name}{labels}"), value)
}

/// Counters and gauges by name and labels, as the text format would name them.
fn pushed(request: &ExportMetricsServiceRequest) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
        match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                let name = format!("{}_total", metric.name);
                all.extend(sum.data_points.iter().map(|one| point(&name, one)));
            }
            Data::Gauge(gauge) => all.extend(gauge.data_points.iter().map(|one| point(&metric.name, one))),
            Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                    assert_eq!(point.explicit_bounds.len() + 1, point.bucket_counts.len());
                }
            }
            _ => {}
        }
    }
    all
}

#[test]
fn an_otlp_receiver_gets_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path());
    let manifest = manifest(folder.path(), &program);
    let (receiver, requests) = receiver();
    let endpoint = format!("http://{receiver}/v1/metrics");
    let mut daemon = run(&["--manifest", &manifest]);
    daemon.args(["--otlp-endpoint", &endpoint, "--otlp-interval", "0.2"]);
    let Some((_probed, address)) = probed(&mut daemon) else {
        return;
    };
    let mut caller = Caller::start(Command::new(&program).arg("9"));
    assert_eq!(caller.call(), 9);
    // One may have been under way.
    while requests.try_recv().is_ok() {}
    requests.recv().unwrap();
    let request = requests.recv().unwrap();
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert!(resource.attributes.iter().any(|pair| pair.key == "service.name"));
    let pushed = still(&pushed(&request));
    assert_eq!(pushed, still(&series(&get(&address, "/metrics"))));
    assert!(pushed.len() > 5, "{pushed:?}");
    let calls = pushed
        .iter()
        .filter(|(name, _)| name.starts_with("function_calls_total"));
    assert_eq!(calls.map(|(_, value)| value).sum::<f64>(), 9.0);
}

/// A server that answers every request of a connection, and ends with the connection.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            while stream.read(&mut request).is_ok_and(|length| length > 0) {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .unwrap();
            }
        }
    });
    address
}

#[test]
fn an_exemplar_leads_to_the_line_of_the_log_at_the_first_scrape() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let log = folder.path().join("exchanges.jsonl");
    let manifest = format!(
        "apiVersion: probelab.dev/v1alpha1\nkind: HttpProbe\nmetadata: {{name: http}}\nspec:\n  interface: lo\n  ports: \
         [{}]\n  exchangeLog: {}\n",
        server.rsplit_once(':').unwrap().1,
        log.display()
    );
    let manifest = write(folder.path(), "http.yaml", &manifest);
    let Some((_probed, address)) = probed(&mut run(&["--manifest", &manifest])) else {
        return;
    };
    let mut client = TcpStream::connect(&server).unwrap();
    let mut answer = [0; 4096];
    for _ in 0..2 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(client.read(&mut answer).unwrap() > 0);
    }
    let port = client.local_addr().unwrap().port();
    let text = get_as(
        &address,
        "/metrics",
        "application/openmetrics-text; version=1.0.0",
    );
    exposition::series(&text).unwrap();
    let wanted = format!("# {{client_address=\"127.0.0.1\",client_port=\"{port}\",request=\"2\"}}");
    let marked: Vec<&str> = text.lines().filter(|line| line.contains(&wanted)).collect();
    assert!(
        marked
            .iter()
            .any(|line| line.starts_with("http_server_request_duration_seconds_bucket")),
        "{text}"
    );
    let again = get_as(
        &address,
        "/metrics",
        "application/openmetrics-text; version=1.0.0",
    );
    for line in marked {
        assert!(
            again.contains(line),
            "an exemplar is the same at each scrape: {line}"
        );
    }
    let line = format!("\"client\":\"127.0.0.1:{port}\",\"n\":2,");
    assert!(fs::read_to_string(&log).unwrap().contains(&line));
}

const FORTRAN: &str = include_str!("../../../scenarios/retrofit/observe-fortran.yaml");
const RUNQSLOWER: &str = include_str!("../../../scenarios/retrofit/runqslower.yaml");
const INVENTORY: &str = "apiVersion: probelab.dev/v1alpha1\nkind: Inventory\ncontainers:\n\
- {name: area, cgroup: '/area-*', podLabels: {component: area}, namespaceLabels: {project: area}}\n\
- {name: area, cgroup: /other, podLabels: {component: area}, namespaceLabels: {project: other}}\n";

/// Starts the program as /test of a root folder and a control group of its own, and from a file of its own, as an image
/// would have it.
fn container(folder: &Path, cgroups: &Path, program: &Path, name: &str) -> Caller {
    let (root, group) = (folder.join(name), cgroups.join(name));
    fs::create_dir(&root).unwrap();
    fs::copy(program, root.join("test")).unwrap();
    fs::create_dir(&group).unwrap();
    let (group, root) = (group.display(), root.display());
    let enter = format!("echo $$ > {group}/cgroup.procs && exec chroot {root} /test 5");
    Caller::start(Command::new("sh").args(["-c", &enter]))
}

#[test]
fn containers_that_start_later_are_counted_and_those_that_end_end_their_series() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = build(folder);
    let fortran = write(folder, "fortran.yaml", FORTRAN);
    let runqslower = write(folder, "runqslower.yaml", RUNQSLOWER);
    let inventory = write(folder, "inventory.yaml", INVENTORY);
    // A mount that nobody else sees. Of the hierarchy there is one only: what is made in it is removed below.
    let mount = folder.join("cgroup");
    fs::create_dir(&mount).unwrap();
    let daemon = run(&[
        "--manifest",
        &fortran,
        "--manifest",
        &runqslower,
        "--inventory",
        &inventory,
    ]);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "umount -a -t cgroup2; mount -t cgroup2 none {} && exec \"$@\"",
            mount.display()
        ))
        .arg("sh")
        .arg(daemon.get_program())
        .args(daemon.get_args());
    let Some((running, address)) = probed(&mut command) else {
        return;
    };
    let cgroups = PathBuf::from(format!("/proc/{}/root{}", running.0.id(), mount.display()));
    let metrics = || series(&get(&address, "/metrics"));
    let area = || metrics()["triangle_corp_area_total"];
    let has_series_of = |name: &str| {
        let label = format!("cgroup=\"/{name}\"");
        metrics().keys().any(|key| key.contains(&label))
    };
    assert_eq!(area(), 0.0);

    let mut one = container(folder, &cgroups, &program, "area-1");
    until("the container's program is found", || {
        let all = metrics();
        let mut attached = all
            .iter()
            .filter(|(name, _)| name.starts_with("probelab_attached") && name.contains("area_"));
        attached.next().filter(|(_, value)| **value == 1.0).map(|_| ())
    });
    // The same labels in another project: not watched.
    let mut other = container(folder, &cgroups, &program, "other");
    assert_eq!((one.call(), other.call()), (5, 5));
    assert_eq!(area(), 5.0);

    // Nothing but its calls tells when this one is found.
    let mut two = container(folder, &cgroups, &program, "area-2");
    until("the second container is counted", || {
        let before = area();
        two.call();
        (area() == before + 5.0).then_some(())
    });
    let counted = area();
    assert!(has_series_of("area-1") && has_series_of("area-2") && !has_series_of("other"));
    assert!(metrics()["triangle_corp_runq_microseconds_count"] > 0.0);

    drop(one);
    let remove = |name: &str| {
        until("a group can be removed", || {
            fs::remove_dir(cgroups.join(name)).ok()
        })
    };
    remove("area-1");
    until("its series have ended", || {
        (!has_series_of("area-1")).then_some(())
    });
    assert_eq!(area(), counted);
    drop((two, other));
    remove("area-2");
    remove("other");
}
