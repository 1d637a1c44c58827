//! Mutants: known mistakes that a probe's source holds behind `#ifdef MUTANT_NAME`, each to be caught by a
//! scenario. They are found in the source, so that none can be forgotten.
//!
//! A scenario turns one on with `control: some-name` in its probe manifest and says in `must_fail` what must
//! notice.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use miette::{IntoDiagnostic, Result, WrapErr};

use crate::files::Loaded;

const PREFIX: &str = "MUTANT_";

/// Every mutant of the `.c` and `.h` files of a folder, with the files that hold it.
pub fn find(folder: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut mutants: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let entries = std::fs::read_dir(folder)
        .into_diagnostic()
        .wrap_err_with(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry.into_diagnostic()?.path();
        let is_source = path.extension().is_some_and(|end| end == "c" || end == "h");
        let Some(file) = path.file_name().filter(|_| is_source) else {
            continue;
        };
        let text = std::fs::read_to_string(&path)
            .into_diagnostic()
            .wrap_err_with(|| path.display().to_string())?;
        for name in in_source(&text) {
            let files = mutants.entry(name.to_owned()).or_default();
            files.insert(file.to_string_lossy().into_owned());
        }
    }
    Ok(mutants)
}

/// The names that conditional lines of the preprocessor ask for.
fn in_source(text: &str) -> BTreeSet<&str> {
    let is_condition = |line: &&str| {
        line.trim_start().strip_prefix('#').is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.starts_with("if") || rest.starts_with("elif")
        })
    };
    text.lines()
        .filter(is_condition)
        .map(|line| line.split("//").next().unwrap_or(line))
        .flat_map(|line| line.split(|character: char| !character.is_ascii_alphanumeric() && character != '_'))
        .filter_map(|word| word.strip_prefix(PREFIX))
        .collect()
}

/// The name of a mutant as a manifest writes it.
pub fn control(mutant: &str) -> String {
    mutant.to_ascii_lowercase().replace('_', "-")
}

/// The controls that the manifest of a scenario turns on.
pub fn controls(loaded: &Loaded) -> BTreeSet<String> {
    let manifest = loaded.scenario.manifest().and_then(|name| loaded.files.get(name));
    manifest.map_or_else(BTreeSet::new, |content| {
        in_manifest(&String::from_utf8_lossy(&content.bytes))
    })
}

/// Whether a scenario is there to fail: a known mistake is turned on, or it says what must go wrong.
pub fn is_control(loaded: &Loaded) -> bool {
    let scenario = &loaded.scenario;
    !controls(loaded).is_empty() || scenario.must_fail().next().is_some() || scenario.must_end().is_some()
}

/// Kinds of the probes that a scenario shows to be right; none where it is there to fail, and none of another dialect,
/// whose kinds are names for ours.
pub fn shown_probes(loaded: &Loaded) -> Vec<String> {
    let manifest = loaded.scenario.manifest().and_then(|name| loaded.files.get(name));
    let (Some(content), false) = (manifest, is_control(loaded)) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&content.bytes).into_owned();
    if !text.contains("apiVersion: probelab.dev/") {
        return Vec::new();
    }
    let kinds = text.lines().filter_map(|line| line.strip_prefix("kind:"));
    let mut kinds: Vec<String> = kinds.map(|kind| kind.trim().to_owned()).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// The manifest is the daemon's to understand; here a line is enough.
fn in_manifest(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("control:"))
        .map(|value| {
            value
                .split(" #")
                .next()
                .unwrap_or(value)
                .trim()
                .trim_matches(['"', '\''])
        })
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Project;

    #[test]
    fn every_form_of_a_condition_is_found_and_nothing_else() {
        let source = r#"
#ifdef MUTANT_ONE
#endif
# ifndef MUTANT_TWO_WORDS // not MUTANT_COMMENT
#if defined(MUTANT_THREE) && !defined(MUTANT_FOUR2)
#elif defined MUTANT_FIVE
	#if MUTANT_SIX
#define MUTANT_NEVER_ASKED_FOR
// #ifdef MUTANT_OUT
#ifdef OTHER_MUTANT_
int MUTANT_VARIABLE;
"#;
        let found: Vec<&str> = in_source(source).into_iter().collect();
        assert_eq!(found, ["FIVE", "FOUR2", "ONE", "SIX", "THREE", "TWO_WORDS"]);
    }

    #[test]
    fn a_control_is_a_line_of_the_manifest() {
        let found = |text: &str| in_manifest(text).into_iter().collect::<Vec<_>>();
        assert_eq!(control("WRONG_PAIRING"), "wrong-pairing");
        assert_eq!(found("spec:\n  control: wrong-pairing\n"), ["wrong-pairing"]);
        assert_eq!(
            found("  control: \"one\" # why\n---\n  control: 'two'\n"),
            ["one", "two"]
        );
        assert!(found("  # control: wrong-pairing\n  control:\n  uncontrol: x\n").is_empty());
    }

    #[test]
    fn every_mutant_of_the_project_has_a_scenario_that_must_fail() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mutants = find(&root.join("bpf")).unwrap();
        assert!(mutants["WRONG_PAIRING"].contains("http_pairing.h"), "{mutants:?}");
        let scenarios = Project { root }.load(&["all".into()]).unwrap();
        for mutant in mutants.keys() {
            let catches = |loaded: &&Loaded| {
                let must_not_work =
                    loaded.scenario.must_fail().next().is_some() || loaded.scenario.must_end().is_some();
                controls(loaded).contains(&control(mutant)) && must_not_work
            };
            assert!(
                scenarios.iter().any(|loaded| catches(&loaded)),
                "no scenario catches {mutant}"
            );
        }
    }
}
