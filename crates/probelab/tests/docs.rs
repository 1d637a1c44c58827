//! The documents: what they name exists, and the command line is what they say.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use common::{probelab, quoted, root, said};

/// The documents at the top of the checkout and of its crates.
fn documents() -> Vec<(String, String)> {
    let mut documents = Vec::new();
    let mut folders = vec![root()];
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
    let top = ["bpf/", "ci/", "crates/", "lima/", "scenarios/", "vm/", ".ci/"];
    for (name, text) in documents() {
        for word in quoted(&text) {
            let is_path = top.iter().any(|folder| word.starts_with(folder));
            if is_path && !word.contains(['*', ' ', '<', 'N']) {
                assert!(
                    root().join(word).exists(),
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

#[test]
fn every_command_that_the_readme_shows_is_understood() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let shown: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("probelab "))
        .map(|line| line.split("  #").next().unwrap().trim())
        .collect();
    assert!(shown.len() >= 8, "the tour shows the commands: {shown:?}");
    for line in shown {
        let words: Vec<&str> = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('-'))
            .collect();
        // Subcommands are found from the left; what follows them are arguments.
        let depth = if ["kernels", "rootfs", "cache", "bench"].contains(&words[0]) {
            2
        } else {
            1
        };
        let said = said(&mut probelab(&format!("{} --help", words[..depth].join(" "))));
        assert_eq!(said.code, 0, "`probelab {line}`: {said:?}");
        for option in line.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(said.out.contains(option), "`probelab {line}`: no option {option}");
        }
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
