//! The documents: what they name exists, and the command line is what they say.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use common::{probelab, quoted, root, said};

/// What the steps of the tutorial copy into the tree, each file in its place.
const TUTORIAL_FILES: &str = "docs/tutorial/files";

/// The documents at the top of the checkout, of its crates, and in `docs/`.
fn documents() -> Vec<(String, String)> {
    let mut documents = Vec::new();
    let mut folders = ["", "docs", "docs/tutorial", "lima"]
        .map(|name| root().join(name))
        .to_vec();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        folders.push(entry.unwrap().path());
    }
    for folder in folders {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(
        documents.len() >= 4,
        "README, ARCHITECTURE, CONTRIBUTING and CHANGELOG"
    );
    documents
}

#[test]
fn every_path_that_a_document_names_exists() {
    let top = [
        "bpf/",
        "ci/",
        "crates/",
        "docs/",
        "lima/",
        "nix/",
        "scenarios/",
        "vm/",
        ".ci/",
    ];
    for (name, text) in documents() {
        let is_tutorial = name.contains("docs/tutorial/");
        for word in quoted(&text) {
            let is_path = top.iter().any(|folder| word.starts_with(folder));
            if is_path && !word.contains(['*', ' ', '<', 'N']) {
                assert!(
                    root().join(word).exists()
                        || is_tutorial && root().join(TUTORIAL_FILES).join(word).exists(),
                    "{name} names {word}, which does not exist"
                );
            }
        }
    }
}

#[test]
fn every_scenario_that_the_readme_names_exists() {
    let list = said(&mut probelab("list"));
    assert_eq!(list.code, 0, "{list:?}");
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    for word in quoted(&text).filter(|word| word.starts_with("probelab run ")) {
        let name = word.split_whitespace().nth(2).unwrap();
        assert!(
            name == "all" || list.out.contains(name),
            "README.md runs {name}, which is no scenario"
        );
    }
}

/// Lines of code blocks that begin with a word, without what follows as a comment.
fn shown<'a>(text: &'a str, program: &str) -> Vec<&'a str> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .flat_map(str::lines)
        .filter_map(|line| line.trim().strip_prefix(program))
        .map(|line| line.split("  #").next().unwrap().trim())
        .collect()
}

#[test]
fn every_command_that_a_document_shows_is_understood() {
    let scenarios = said(&mut probelab("list")).out;
    let mut count = 0;
    for (name, text) in documents() {
        for line in shown(&text, "probelab ") {
            let words: Vec<&str> = line
                .split_whitespace()
                .take_while(|word| !word.starts_with('-'))
                .collect();
            // Subcommands are found from the left; what follows them are arguments.
            let depth = if ["kernels", "rootfs", "cache", "bench"].contains(&words[0]) {
                words.len().min(2)
            } else {
                1
            };
            let said = said(&mut probelab(&format!("{} --help", words[..depth].join(" "))));
            assert_eq!(said.code, 0, "{name}: `probelab {line}`: {said:?}");
            for option in line.split_whitespace().filter(|word| word.starts_with("--")) {
                assert!(
                    said.out.contains(option),
                    "{name}: `probelab {line}`: no option {option}"
                );
            }
            if words[0] == "run" && words[1] != "all" && !words[1].starts_with("./") {
                let made = root().join(TUTORIAL_FILES).join("scenarios").join(words[1]);
                assert!(
                    scenarios
                        .lines()
                        .any(|known| known.split_whitespace().next() == Some(words[1]))
                        || name.contains("docs/tutorial/") && made.exists(),
                    "{name}: `probelab {line}`: no such scenario"
                );
            }
            count += 1;
        }
    }
    assert!(count >= 30, "the documents show the commands: {count}");
}

#[test]
fn every_script_and_recipe_that_a_document_shows_is_there_with_its_options() {
    let recipes = fs::read_to_string(root().join("justfile")).unwrap();
    let (mut scripts, mut called) = (0, 0);
    for (name, text) in documents() {
        for line in shown(&text, "ci/") {
            let mut words = line.split_whitespace();
            let script = root().join("ci").join(words.next().unwrap());
            let said = said(std::process::Command::new(&script).arg("--help"));
            assert_eq!(said.code, 0, "{name}: {}: {said:?}", script.display());
            for option in words.filter(|word| word.starts_with("--")) {
                assert!(
                    said.out.contains(option),
                    "{name}: `ci/{line}`: no option {option}"
                );
            }
            scripts += 1;
        }
        for line in [shown(&text, "just "), shown(&text, "ci/bootstrap just ")].concat() {
            let recipe = line.split_whitespace().next().unwrap();
            let is_there = recipes
                .lines()
                .any(|known| known.split([':', ' ']).next() == Some(recipe));
            assert!(is_there, "{name}: `just {line}`: no recipe {recipe}");
            called += 1;
        }
    }
    assert!(scripts >= 6, "{scripts}");
    assert!(called >= 6, "{called}");
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut count = 0;
    for (name, text) in documents() {
        let folder = std::path::Path::new(&name).parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") {
                assert!(folder.join(link).exists(), "{name} links {link}");
                count += 1;
            }
        }
    }
    assert!(count >= 10, "{count}");
}

/// Every file below a folder, as one text each.
fn texts_below(folder: &std::path::Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(texts_below(&path));
        } else {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}

#[test]
fn what_the_tutorial_shows_of_its_files_is_in_them() {
    let page = fs::read_to_string(root().join("docs/tutorial/README.md")).unwrap();
    let mut texts = texts_below(&root().join(TUTORIAL_FILES));
    for (_, patch) in patches() {
        let added = patch.lines().filter_map(|line| line.strip_prefix('+'));
        texts.push(added.map(|line| format!("{line}\n")).collect());
    }
    let mut count = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, shown) = block.split_once('\n').unwrap();
        if !["sh", "text"].contains(&language) {
            let shown = format!("{shown}\n");
            assert!(
                texts.iter().any(|text| text.contains(&shown)),
                "in no file:\n{shown}"
            );
            count += 1;
        }
    }
    assert!(count >= 8, "{count}");
}

/// The patches of the tutorial, with their names.
fn patches() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join("docs/tutorial")).unwrap();
    let patches = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// One side of a part of a patch: its lines with these marks.
fn side(hunk: &str, marks: [char; 2]) -> String {
    let lines = hunk.lines().skip(1);
    lines
        .take_while(|line| !line.starts_with("diff --git"))
        .filter_map(|line| line.strip_prefix(marks))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// `ci/check-tutorial` applies them and compiles what comes of it; here a change that makes one stale is seen at once. Whoever
/// follows the tutorial has applied them.
#[test]
fn the_patches_of_the_tutorial_fit_the_files_that_they_change() {
    let mut hunks = 0;
    for (name, patch) in patches() {
        for file in patch.split("\n+++ b/").skip(1) {
            let (path, changes) = file.split_once('\n').unwrap();
            let text = fs::read_to_string(root().join(path)).unwrap();
            for hunk in changes.split("@@ -").skip(1) {
                let (before, after) = (side(hunk, [' ', '-']), side(hunk, [' ', '+']));
                let fits = |side: &str| text.matches(side).count() == 1;
                assert!(fits(&before) || fits(&after), "{name} at {path}:\n{before}");
                hunks += 1;
            }
        }
    }
    assert!(hunks >= 8, "{hunks}");
}

#[test]
fn the_check_of_the_tutorial_notices_what_is_broken() {
    let said = said(std::process::Command::new(root().join("ci/check-tutorial")).arg("--self-test"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.matches("noticed").count() >= 8, "{said:?}");
}

/// Codes of errors in the sources of the crates that are not tests.
fn codes_of(folder: &std::path::Path, codes: &mut std::collections::BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_of(&path, codes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let found = text.split("code(probelab::").skip(1);
            codes.extend(found.map(|rest| rest.split(')').next().unwrap().to_owned()));
        }
    }
}

#[test]
fn every_error_code_is_explained_and_nothing_else_is() {
    let mut codes = std::collections::BTreeSet::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        codes_of(&entry.unwrap().path().join("src"), &mut codes);
    }
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let explained: std::collections::BTreeSet<String> = quoted(&text)
        .filter_map(|word| word.strip_prefix("probelab::"))
        .map(str::to_owned)
        .collect();
    assert_eq!(codes, explained);
    assert!(codes.len() >= 15, "{codes:?}");
}

#[test]
fn man_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let said = said(probelab("man").arg(folder.path()));
    assert_eq!(said.code, 0, "{said:?}");
    for (page, words) in [
        ("probelab.1", "Boots unmodified, pinned kernels"),
        ("probelab-run.1", "Seed of everything random"),
        ("probelab-kernels-fetch.1", "Fetch pinned kernels"),
    ] {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(words), "{page}: {text}");
    }
}

#[test]
fn completions_are_printed_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let said = said(&mut probelab(&format!("completions {shell}")));
        assert_eq!(said.code, 0);
        for word in ["kernel-image", "libbpf"] {
            assert!(said.out.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn nothing_names_the_place_where_it_was_built() {
    let root = root();
    let own = root.parent().unwrap().display().to_string();
    // A checkout in a well-known folder would forbid ordinary words.
    if own.len() < 4 || ["/home", "/root", "/tmp", "/usr", "/opt", "/srv", "/var"].contains(&own.as_str()) {
        return;
    }
    for (name, text) in documents() {
        assert!(
            !text.contains(&format!("{own}/")),
            "{name} names a path of this machine"
        );
    }
}
