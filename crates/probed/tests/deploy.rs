//! The files in `deploy/` against what they are about: the command line, the manifest parser, the table of capabilities,
//! the stored metrics, the objectives. Needs no network and no cluster; `ci/check-deploy` asks kubeconform.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// What stands for the address that Kubernetes puts in.
const ADDRESS: &str = "192.0.2.1";
/// The words of PromQL that the dashboard uses.
const WORDS: [&str; 8] = [
    "by",
    "count",
    "histogram_quantile",
    "le",
    "max",
    "min",
    "rate",
    "sum",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join("deploy").join(name))
        .unwrap_or_else(|error| panic!("deploy/{name}: {error}"))
}

fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(name)).unwrap_or_else(|error| panic!("deploy/{name}: {error}"))
}

/// The only document of this kind.
fn of_kind(name: &str, kind: &str) -> Value {
    let mut found: Vec<Value> = documents(name)
        .into_iter()
        .filter(|document| document["kind"] == kind)
        .collect();
    assert_eq!(found.len(), 1, "deploy/{name}: {kind}");
    found.remove(0)
}

fn list(value: &Value) -> Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
        .clone()
}

fn string(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    list(value).iter().map(string).collect()
}

fn pod(name: &str) -> Value {
    of_kind(name, "DaemonSet")["spec"]["template"]["spec"].clone()
}

fn container(name: &str) -> Value {
    let containers = list(&pod(name)["containers"]);
    assert_eq!(containers.len(), 1, "deploy/{name}");
    containers[0].clone()
}

fn probed(arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_probed"))
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The port of `probed run` when nobody says another one.
fn default_port() -> u64 {
    let help = said(&probed(&["run".into(), "--help".into()]));
    let words: Vec<&str> = help.split_whitespace().collect();
    let address = words
        .iter()
        .find_map(|word| word.strip_prefix("127.0.0.1:"))
        .unwrap();
    address.trim_end_matches(']').parse().unwrap()
}

const DAEMONS: [&str; 2] = ["daemonset.yaml", "daemonset-privileged.yaml"];

#[test]
fn every_file_is_read_and_named_in_the_readme() {
    let readme = text("README.md");
    for entry in fs::read_dir(root().join("deploy")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".yaml") {
            for document in documents(&name) {
                assert!(document["apiVersion"].is_string(), "deploy/{name}");
                assert!(document["metadata"]["name"].is_string(), "deploy/{name}");
            }
        }
        assert!(
            name == "README.md" || readme.contains(&format!("| `{name}` |")),
            "{name}"
        );
    }
}

#[test]
fn the_program_takes_the_arguments_of_the_daemons() {
    let port = default_port();
    for name in DAEMONS {
        let container = container(name);
        let mut environment = Vec::new();
        for variable in list(&container["env"]) {
            match string(&variable["valueFrom"]["fieldRef"]["fieldPath"]).as_str() {
                "status.podIP" => environment.push(format!("$({})", string(&variable["name"]))),
                // The daemon reads it by itself.
                "spec.nodeName" => assert_eq!(variable["name"], "NODE_NAME"),
                other => panic!("deploy/{name}: {other}"),
            }
        }
        let mut arguments = strings(&container["args"]);
        for argument in &mut arguments {
            for variable in &environment {
                *argument = argument.replace(variable, ADDRESS);
            }
            assert!(!argument.contains("$("), "deploy/{name}: {argument}");
        }
        assert!(
            arguments.contains(&format!("--listen={ADDRESS}:{port}")),
            "deploy/{name}: {arguments:?}"
        );
        // With --help, what stands before it is read and nothing is run.
        arguments.push("--help".into());
        let output = probed(&arguments);
        assert!(output.status.success(), "deploy/{name}: {}", said(&output));
        arguments.insert(1, "--no-such-option".into());
        assert!(
            !probed(&arguments).status.success(),
            "the test would see no mistake"
        );
    }
}

#[test]
fn ports_and_paths_are_those_that_are_served() {
    let port = default_port();
    let probed_readme = fs::read_to_string(root().join("crates/probed/README.md")).unwrap();
    for name in DAEMONS {
        let container = container(name);
        let ports = list(&container["ports"]);
        assert_eq!(ports.len(), 1);
        assert_eq!(ports[0]["containerPort"], port);
        assert_eq!(ports[0]["hostPort"], port, "on the host's network they are one");
        for (probe, path) in [("readinessProbe", "/ready"), ("livenessProbe", "/healthz")] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["path"], path);
            assert_eq!(get["port"], ports[0]["name"]);
            assert!(probed_readme.contains(&format!("`{path}`")));
        }
    }
    let service = of_kind("servicemonitor.yaml", "Service");
    let monitor = of_kind("servicemonitor.yaml", "ServiceMonitor");
    let labels = of_kind("daemonset.yaml", "DaemonSet")["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(service["spec"]["selector"], labels);
    assert_eq!(
        monitor["spec"]["selector"]["matchLabels"],
        service["metadata"]["labels"]
    );
    assert_eq!(service["spec"]["ports"][0]["port"], port);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "metrics");
    assert_eq!(
        monitor["spec"]["endpoints"][0]["port"],
        service["spec"]["ports"][0]["name"]
    );
    assert_eq!(monitor["spec"]["endpoints"][0]["path"], "/metrics");
}

#[test]
fn the_parser_takes_the_manifests_and_they_are_where_the_arguments_say() {
    let folder = tempfile::tempdir().unwrap();
    for name in DAEMONS {
        let map = of_kind(name, "ConfigMap");
        let pod = pod(name);
        let container = container(name);
        let volume = list(&pod["volumes"])
            .into_iter()
            .find(|volume| volume["configMap"]["name"] == map["metadata"]["name"])
            .unwrap();
        let mount = list(&container["volumeMounts"])
            .into_iter()
            .find(|mount| mount["name"] == volume["name"])
            .unwrap();
        let data = map["data"].as_object().unwrap();
        assert!(!data.is_empty());
        for (file, manifest) in data {
            let argument = format!("--manifest={}/{file}", string(&mount["mountPath"]));
            assert!(
                strings(&container["args"]).contains(&argument),
                "deploy/{name}: {argument}"
            );
            let path = folder.path().join(file);
            fs::write(&path, string(manifest)).unwrap();
            let output = probed(&["check".into(), path.display().to_string()]);
            assert!(output.status.success(), "deploy/{name}: {}", said(&output));
        }
    }
}

/// Every capability that the daemon knows a use for.
fn table_of_capabilities() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("crates/probed/src/privileges.rs")).unwrap();
    let (code, _) = source.split_once("#[cfg(test)]").unwrap();
    let named = code.split("Capability::CAP_").skip(1);
    let is_part = |character: char| character.is_ascii_uppercase() || character == '_';
    named
        .map(|rest| {
            rest.split(|character| !is_part(character))
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn each_capability_of_the_table_is_added_or_named_with_its_reason() {
    let table = table_of_capabilities();
    assert!(table.len() >= 3, "{table:?}");
    let context = &container("daemonset.yaml")["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert!(context["privileged"].is_null());
    let added: BTreeSet<String> = strings(&context["capabilities"]["add"]).into_iter().collect();
    // What an HttpProbe needs. Without any one of them it is not ready.
    assert_eq!(added, ["BPF", "NET_RAW", "PERFMON"].map(str::to_owned).into());
    let source = text("daemonset.yaml");
    let left_out: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("# - "))
        .map(|line| {
            let (capability, reason) = line
                .split_once('#')
                .unwrap_or_else(|| panic!("no reason: {line}"));
            assert!(reason.trim().starts_with("for ") || reason.trim().starts_with("before "));
            capability.trim().to_owned()
        })
        .collect();
    assert!(added.is_disjoint(&left_out));
    assert_eq!(added.union(&left_out).cloned().collect::<BTreeSet<_>>(), table);
}

#[test]
fn a_privileged_container_says_why() {
    for name in ["daemonset-privileged.yaml", "debug-daemonset.yaml"] {
        assert_eq!(container(name)["securityContext"]["privileged"], true);
        assert!(text(name).contains("# Why privileged: "), "deploy/{name}");
    }
}

#[test]
fn images_are_those_that_the_containerfile_makes() {
    let containerfile = text("Containerfile");
    let version = env!("CARGO_PKG_VERSION");
    for (name, image) in [
        ("daemonset.yaml", "probed"),
        ("daemonset-privileged.yaml", "probed"),
        ("debug-daemonset.yaml", "probed-tools"),
    ] {
        let image = format!("{image}:{version}");
        assert_eq!(container(name)["image"], image, "deploy/{name}");
        assert!(containerfile.contains(&format!("--tag {image} .")), "{image}");
        assert!(text("README.md").contains(&format!("--tag {image} .")), "{image}");
    }
    let stages: Vec<&str> = containerfile
        .lines()
        .filter(|line| line.starts_with("FROM "))
        .filter_map(|line| line.split(" AS ").nth(1))
        .collect();
    assert_eq!(stages, ["build", "tools", "probed"], "the last is the default");
    let justfile = fs::read_to_string(root().join("justfile")).unwrap();
    let target = justfile
        .lines()
        .find_map(|line| line.strip_prefix("static_target := "))
        .unwrap()
        .trim_matches('"');
    let copied = format!("COPY --from=build /src/target/{target}/release/probed /usr/local/bin/probed\n");
    assert_eq!(containerfile.matches(&copied).count(), 2);
    assert!(containerfile.contains("RUN ci/bootstrap just build\n"));
    assert!(containerfile.ends_with("ENTRYPOINT [\"/usr/local/bin/probed\"]\n"));
}

/// Names of series and of labels in the stored metrics of the lab's runs.
fn stored_names() -> (BTreeSet<String>, BTreeSet<String>) {
    let folder = root().join("crates/probelab/tests/machine/snapshots");
    let (mut series, mut labels) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains("metrics") || !name.ends_with(".snap") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| line.ends_with(" <number>")) {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
            series.insert(name.to_owned());
            labels.extend(identifiers(rest.trim_end_matches("<number>")));
        }
    }
    (series, labels)
}

/// The words of an expression that are not in quotes and not in a range.
fn identifiers(expression: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut until = None;
    for character in expression.chars() {
        match (until, character) {
            (Some(end), _) if end == character => until = None,
            (Some(_), _) => {}
            (None, '"') => until = Some('"'),
            (None, '[') => until = Some(']'),
            (None, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | ':') => {
                words.last_mut().unwrap().push(character)
            }
            (None, _) => words.push(String::new()),
        }
    }
    words.retain(|word| word.starts_with(|first: char| !first.is_ascii_digit()));
    words
}

#[test]
fn every_name_in_the_dashboard_was_measured() {
    let (series, labels) = stored_names();
    assert!(
        series.contains("probelab_attached") && labels.contains("hook"),
        "{series:?} {labels:?}"
    );
    let monitor = of_kind("servicemonitor.yaml", "ServiceMonitor");
    let of_scrape = string(&monitor["spec"]["endpoints"][0]["relabelings"][0]["targetLabel"]);
    let dashboard: Value = serde_json::from_str(&text("grafana-dashboard.json")).unwrap();
    let is_known = |word: &String| {
        series.contains(word) || labels.contains(word) || WORDS.contains(&word.as_str()) || *word == of_scrape
    };
    let mut panels = 0;
    let mut ids = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "two panels with one id"
        );
        if panel["type"] == "row" {
            continue;
        }
        panels += 1;
        for target in list(&panel["targets"]) {
            let expression = string(&target["expr"]);
            let words = identifiers(&expression);
            assert!(words.iter().any(|word| series.contains(word)), "{expression}");
            for word in words {
                assert!(is_known(&word), "{}: `{word}` in {expression}", panel["title"]);
            }
        }
    }
    assert!(panels > 0);
    let nodes = list(&dashboard["templating"]["list"])
        .into_iter()
        .find(|variable| variable["name"] == "node")
        .unwrap();
    assert_eq!(
        string(&nodes["query"]["query"]),
        format!("label_values(probelab_attached, {of_scrape})")
    );
    assert!(
        !is_known(&"http_server_requests_total".to_owned()),
        "a name that never was"
    );
}

#[test]
fn the_objectives_are_read_and_are_about_what_was_measured() {
    let objectives = slo::parse(&text("slo-example.yaml"), slo::ClientErrors::default()).unwrap();
    assert_eq!(objectives.len(), 2);
    let (series, labels) = stored_names();
    let mut queries = 0;
    for line in text("slo-example.yaml").lines() {
        if let Some(query) = line.trim_start().strip_prefix("query: ") {
            queries += 1;
            for word in identifiers(query) {
                let is_series = series.contains(&word) || series.contains(&format!("{word}_bucket"));
                assert!(is_series || labels.contains(&word), "{word}");
            }
        }
    }
    assert_eq!(queries, 3);
}
