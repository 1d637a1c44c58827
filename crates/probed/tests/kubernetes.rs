//! The files in `deploy/` and the job of `ci/` against the schemas of Kubernetes, as its own API description has them. Unlike the API server,
//! which drops what it does not know, this refuses it.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{fs, path::Path};

use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        batch::v1::Job,
        core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding},
    },
    schemars::{JsonSchema, schema_for},
};
use serde_json::{Value, json};

/// Kinds that other projects define.
const FOREIGN: [&str; 2] = ["SLO", "ServiceMonitor"];

/// The schema of a type; keys that it does not name are errors.
fn strict<T: JsonSchema>() -> jsonschema::Validator {
    let mut schema = serde_json::to_value(schema_for!(T)).unwrap();
    close(&mut schema);
    // Said of each object by those who read it, and no part of the types.
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    jsonschema::validator_for(&schema).unwrap()
}

/// Forbids what is not named wherever something is.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object)
                && !map.contains_key("additionalProperties")
            {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(list) => list.iter_mut().for_each(close),
        _ => {}
    }
}

/// What the schema of its kind has against a document; nothing at all for a kind that is none of Kubernetes.
fn faults(document: &Value) -> Option<Vec<String>> {
    let validator = match (&document["apiVersion"], &document["kind"]) {
        (Value::String(version), Value::String(kind)) => match (version.as_str(), kind.as_str()) {
            ("v1", "ConfigMap") => strict::<ConfigMap>(),
            ("v1", "Namespace") => strict::<Namespace>(),
            ("v1", "Service") => strict::<Service>(),
            ("v1", "ServiceAccount") => strict::<ServiceAccount>(),
            ("v1", "PersistentVolumeClaim") => strict::<PersistentVolumeClaim>(),
            ("batch/v1", "Job") => strict::<Job>(),
            ("apps/v1", "DaemonSet") => strict::<DaemonSet>(),
            ("rbac.authorization.k8s.io/v1", "ClusterRole") => strict::<ClusterRole>(),
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => strict::<ClusterRoleBinding>(),
            (_, kind) if FOREIGN.contains(&kind) => return None,
            other => panic!("{other:?} has no schema here"),
        },
        other => panic!("no document of Kubernetes: {other:?}"),
    };
    let errors = validator.iter_errors(document);
    Some(
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect(),
    )
}

fn documents(name: &Path) -> Vec<Value> {
    serde_saphyr::from_multiple(&fs::read_to_string(name).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", name.display()))
}

#[test]
fn the_schemas_take_every_file() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = 0;
    let deployed = fs::read_dir(project.join("deploy")).unwrap();
    let deployed = deployed.map(|entry| entry.unwrap().path());
    for path in deployed.chain([project.join("ci/kubernetes-job.yaml")]) {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        for document in documents(&path) {
            if let Some(faults) = faults(&document) {
                assert!(faults.is_empty(), "{}: {faults:#?}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 8, "{checked}");
}

#[test]
fn a_slip_of_the_pen_is_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/daemonset.yaml");
    let good = documents(&path)
        .into_iter()
        .find(|document| document["kind"] == "DaemonSet")
        .unwrap();
    assert_eq!(faults(&good), Some(Vec::new()));
    let mut misspelt = good.clone();
    misspelt["spec"]["template"]["spec"]["hostNetwrk"] = json!(true);
    let mut number = good.clone();
    number["spec"]["template"]["spec"]["hostNetwork"] = json!("yes");
    let mut without = good;
    without["spec"].as_object_mut().unwrap().remove("selector");
    for (wrong, words) in [
        (misspelt, "hostNetwrk"),
        (number, "boolean"),
        (without, "selector"),
    ] {
        let faults = faults(&wrong).unwrap().join("; ");
        assert!(faults.contains(words), "{words}: {faults}");
    }
}
