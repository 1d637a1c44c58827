//! For the build scripts of probe crates: compiles `bpf/NAME.bpf.c` to objects and `bpf/NAME.h` to Rust types.
//!
//! Runs at build time only. Objects land in `OUT_DIR` as `NAME.bpf.o`, and each mutant, a known mistake that a build-time
//! switch turns on, as `NAME.MUTANT.bpf.o`; the types as `types.rs`.

mod bindings;
mod compile;

pub use bindings::bindings_in;
pub use compile::{compile, folder};

/// Builds all of a probe: its object, its mutants (the `NAME` of `#ifdef MUTANT_NAME`, in small letters) and its types,
/// which start with the probe's name.
///
/// # Panics
/// When a tool is missing or refuses a source: cargo shows the words.
pub fn probe(name: &str, mutants: &[&str]) {
    objects(name, mutants);
    bindings(&[&format!("{name}.h")], name);
}

/// The same for each probe of a crate that has several: its types land in `NAME.types.rs`.
///
/// # Panics
/// When a tool is missing or refuses a source: cargo shows the words.
pub fn one_of_several(name: &str, mutants: &[&str]) {
    objects(name, mutants);
    bindings_in(&format!("{name}.types.rs"), &[&format!("{name}.h")], name);
}

/// Writes `OUT_DIR/types.rs`, see [`bindings_in`].
///
/// # Panics
/// When a header cannot be read.
pub fn bindings(headers: &[&str], prefix: &str) {
    bindings_in("types.rs", headers, prefix);
}

fn objects(name: &str, mutants: &[&str]) {
    compile(name, name, &[]);
    for mutant in mutants {
        let switch = format!("-DMUTANT_{}", mutant.to_uppercase());
        compile(name, &format!("{name}.{mutant}"), &[&switch]);
    }
}
