//! No program's file makes the search for a function panic.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

use std::{fs, path::Path};

use bolero::check;
use probe_calls::symbol::find;

/// Looks for a function in a file of these bytes.
fn look(folder: &Path, bytes: &[u8]) -> bool {
    let path = folder.join("program");
    fs::write(&path, bytes).unwrap();
    find(&path, None, "main").is_ok()
}

#[test]
fn any_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    check!().for_each(|bytes: &[u8]| {
        look(&path, bytes);
    });
}

/// The head, the tables of sections and the symbols of a small object, with slips.
#[test]
fn a_program_with_slips() {
    let folder = tempfile::tempdir().unwrap();
    let (source, object) = (folder.path().join("main.c"), folder.path().join("main"));
    fs::write(&source, "int main(void) { return 0; }").unwrap();
    let compiled = std::process::Command::new("cc")
        .args(["-g", "-nostdlib", "-static", "-Wl,-emain", "-o"])
        .args([&object, &source])
        .status();
    assert!(compiled.unwrap().success());
    let right = fs::read(&object).unwrap();
    let path = folder.path().to_owned();
    assert!(look(&path, &right));
    check!()
        .with_type::<Vec<(u16, u8)>>()
        .for_each(|edits: &Vec<(u16, u8)>| {
            let mut bytes = right.clone();
            for (place, byte) in edits {
                let place = usize::from(*place) % bytes.len();
                bytes[place] = *byte;
            }
            look(&path, &bytes);
        });
}
