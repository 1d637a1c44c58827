//! The JSON schema of what the daemon reads, made from the types that read it. It is shipped as
//! `schema/manifest.schema.json`, so that editors need not run anything.
//!
//! A schema says which keys there are and of which type; ranges are checked by `probed check`.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::manifest::{Metadata, kinds};
use crate::selector::Selector;
use crate::targets::inventory::InventoryFile;

/// The schema of one document of a manifest, or of an inventory.
fn schema() -> Value {
    // Written out where it is used: the kinds have types of the same names.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut generator = settings.into_generator();
    let mut documents: Vec<Value> = kinds(&mut generator)
        .into_iter()
        .map(|(kind, version, spec)| document(&mut generator, kind, version, &spec))
        .collect();
    documents.push(part::<InventoryFile>(&mut generator).to_value());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A probe of probed, or an inventory of containers",
        "oneOf": documents,
    })
}

fn part<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn document(generator: &mut SchemaGenerator, kind: &str, version: &str, spec: &Schema) -> Value {
    json!({
        "title": kind,
        "type": "object",
        "properties": {
            "apiVersion": { "const": version },
            "kind": { "const": kind },
            "metadata": part::<Metadata>(generator),
            "selector": part::<Selector>(generator),
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

/// The schema as text that ends in a newline.
pub fn text() -> String {
    // The alternate form of a JSON value is the indented one, and writing it cannot fail.
    format!("{:#}\n", schema())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_schema_is_the_one_of_the_types() {
        assert!(
            text() == include_str!("../schema/manifest.schema.json"),
            "stale: `probed schema > crates/probed/schema/manifest.schema.json` makes it anew"
        );
    }

    fn documents(text: &str) -> Vec<Value> {
        serde_saphyr::from_multiple(text).unwrap()
    }

    #[test]
    fn every_manifest_of_the_scenarios_fits_and_a_slip_does_not() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let scenarios = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
        let mut seen = 0;
        for path in glob::glob(&format!("{scenarios}/*/*.yaml")).unwrap().flatten() {
            for document in documents(&std::fs::read_to_string(&path).unwrap()) {
                // Objectives are no manifests.
                if document["kind"] == "Objective" {
                    continue;
                }
                let errors: Vec<String> = validator
                    .iter_errors(&document)
                    .map(|error| error.to_string())
                    .collect();
                assert!(errors.is_empty(), "{}: {errors:?}", path.display());
                seen += 1;
                let mut slip = document.clone();
                slip["speck"] = Value::Null;
                assert!(!validator.is_valid(&slip), "{}", path.display());
                let Some(spec) = document.get("spec") else {
                    continue;
                };
                let mut slip = document.clone();
                slip["spec"] = spec.clone();
                slip["spec"]["intervace"] = json!("lo");
                assert!(!validator.is_valid(&slip), "{}", path.display());
            }
        }
        assert!(seen > 20, "{seen}");
    }
}
