//! The recipes for CI systems: that what they call exists and understands the options they give, that the list of kernels
//! is where the forge looks for it, and that the pods of the cluster do each cell once. Whether a forge or a cluster takes
//! them is for their own validators.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{collections::BTreeMap, fs, process::Command};

use common::{probelab, root, said};
use serde::Deserialize;
use serde_json::Value;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every text in a document, however deep.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(values) => values.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// Each call of `ci/matrix` in a text: its options.
fn options(text: &str) -> Vec<String> {
    let calls = text.split("ci/matrix").skip(1);
    calls
        .flat_map(|call| call.split("&&").next().unwrap().split_whitespace())
        .filter(|word| word.starts_with("--"))
        .map(str::to_owned)
        .collect()
}

fn assert_understood(text: &str) {
    let help = said(Command::new(root().join("ci/matrix")).arg("--help"));
    assert_eq!(help.code, 0, "{help:?}");
    for option in options(text) {
        assert!(
            help.out.contains(&format!("{option} ")),
            "ci/matrix has no {option}"
        );
    }
}

#[test]
fn the_script_refuses_what_it_does_not_know_before_it_builds() {
    for (arguments, words) in [
        (&["--kernels", "all"][..], "what is --kernels?"),
        (&["--shard"][..], "--shard wants a value"),
        (&["--merge", "/nowhere"][..], "there is no folder /nowhere"),
    ] {
        let said = said(Command::new(root().join("ci/matrix")).args(arguments));
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.error.contains(words), "{said:?}");
    }
}

#[test]
fn the_script_merges_no_two_records_that_contradict_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let merge = |name: &str| folder.path().join("parts").join(name).join("records");
    for (part, text) in [("one", "{}"), ("two", "{ }")] {
        fs::create_dir_all(merge(part)).unwrap();
        fs::write(merge(part).join("canary-6.12.json"), text).unwrap();
    }
    let said = said(
        Command::new(root().join("ci/matrix"))
            .arg("--merge")
            .arg(folder.path().join("parts"))
            .arg("--out")
            .arg(folder.path().join("out")),
    );
    assert_eq!(said.code, 2, "{said:?}");
    let words = "there are two records canary-6.12.json, which differ";
    assert!(said.error.contains(words), "{said:?}");
}

#[test]
fn the_script_reports_what_the_recipe_left() {
    let recipe = read("justfile");
    let (_, loader) = recipe.split_once("env(\"PROBELAB_TEST_LOADER\", \"").unwrap();
    let loader = loader.split('"').next().unwrap();
    assert!(
        read("ci/matrix").contains(&format!("\nloader=\"{loader}\"\n")),
        "or the workflow would run everything again"
    );
}

#[test]
fn the_workflow_calls_what_exists_and_finds_the_kernels() {
    let workflow: Value = serde_saphyr::from_str(&read(".github/workflows/lab.yaml")).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap();
    let just = read("justfile");
    let mut calls = 0;
    for (name, job) in jobs {
        assert!(job["timeout-minutes"].as_u64().is_some(), "{name} may hang");
        for step in job["steps"].as_array().unwrap() {
            let Some(run) = step["run"].as_str() else {
                continue;
            };
            for recipe in run.split("just ").skip(1) {
                let recipe = recipe.split_whitespace().next().unwrap();
                assert!(
                    just.contains(&format!("\n{recipe}:")),
                    "{name}: no recipe {recipe}"
                );
                calls += 1;
            }
            assert_understood(run);
        }
    }
    assert!(calls >= 3, "test, build and test-vm: {calls}");
    for needed in jobs.values().filter_map(|job| job["needs"].as_str()) {
        assert!(jobs.contains_key(needed), "no job {needed}");
    }
    // What a cache is kept by must be there, or the key never changes.
    let mut found = Vec::new();
    texts(&workflow, &mut found);
    let keys = found.iter().filter_map(|text| text.split("hashFiles(").nth(1));
    let files: Vec<&str> = keys.flat_map(|key| key.split('\'').skip(1).step_by(2)).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let folder = file.split('*').next().unwrap();
        assert!(root().join(folder).exists(), "no {file}");
    }
    let list = said(&mut probelab("matrix --list --json"));
    let list: Value = serde_json::from_str(&list.out).unwrap();
    assert!(
        list["kernels"].as_array().unwrap().len() >= 5,
        "`jq .kernels` finds them"
    );
}

/// The job, as far as it is used here: the keys of batch/v1 (Kubernetes 1.33); others are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Job {
    api_version: String,
    kind: String,
    metadata: BTreeMap<String, String>,
    spec: JobSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JobSpec {
    completion_mode: String,
    completions: usize,
    parallelism: usize,
    backoff_limit_per_index: u32,
    pod_failure_policy: Value,
    template: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    spec: PodSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodSpec {
    restart_policy: String,
    containers: Vec<Container>,
    volumes: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Container {
    name: String,
    image: String,
    working_dir: String,
    command: Vec<String>,
    args: Vec<String>,
    resources: Value,
    security_context: Value,
    volume_mounts: Vec<Value>,
}

fn names(values: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = values
        .iter()
        .map(|value| value["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn the_pods_of_a_cluster_do_each_cell_once() {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&read("ci/kubernetes-job.yaml")).unwrap();
    let [claim, job] = &documents[..] else {
        panic!("a claim and a job")
    };
    let job: Job = serde_json::from_value(job.clone()).unwrap();
    assert_eq!((job.api_version.as_str(), job.kind.as_str()), ("batch/v1", "Job"));
    assert!(!job.metadata["name"].is_empty());
    let JobSpec {
        completions,
        parallelism,
        ..
    } = job.spec;
    assert_eq!(job.spec.completion_mode, "Indexed");
    assert!(job.spec.backoff_limit_per_index > 0 && (1..=completions).contains(&parallelism));
    assert!(job.spec.pod_failure_policy["rules"].is_array());
    let pod = job.spec.template.spec;
    // A policy on failures wants this (Kubernetes 1.31 and later).
    assert_eq!(pod.restart_policy, "Never");
    let [container] = &pod.containers[..] else {
        panic!("one container")
    };
    assert_eq!(names(&container.volume_mounts), names(&pod.volumes));
    let of_claim = pod
        .volumes
        .iter()
        .find_map(|volume| volume.get("persistentVolumeClaim"));
    assert_eq!(of_claim.unwrap()["claimName"], claim["metadata"]["name"]);
    assert_eq!(claim["spec"]["accessModes"][0], "ReadWriteMany");
    let call = container.args.join(" ");
    assert!(
        call.contains(&format!("\"$((JOB_COMPLETION_INDEX + 1))/{completions}\"")),
        "{call}"
    );
    assert_understood(&call);
    assert_eq!(container.command, ["/bin/sh", "-c"]);
    assert_eq!(container.security_context["capabilities"]["drop"][0], "ALL");
    assert!(container.resources["limits"]["memory"].is_string());
    for text in [&container.name, &container.image, &container.working_dir] {
        assert!(!text.is_empty());
    }

    let cells = |shard: &str| {
        let list = said(&mut probelab(&format!(
            "matrix --list --json --kernel wide {shard}"
        )));
        let list: Value = serde_json::from_str(&list.out).unwrap();
        let cells = list["cells"].as_array().unwrap().clone();
        cells.iter().map(Value::to_string).collect::<Vec<_>>()
    };
    let mut whole = cells("");
    let mut parts: Vec<String> = (1..=completions)
        .flat_map(|index| cells(&format!("--shard {index}/{completions}")))
        .collect();
    whole.sort_unstable();
    parts.sort_unstable();
    assert!(whole.len() > 1000, "{}", whole.len());
    assert_eq!(parts, whole);
}
