//! For the build scripts of probe crates: compiles `bpf/NAME.bpf.c` to objects and `bpf/NAME.h` to Rust types.
//!
//! Runs at build time only. Objects land in `OUT_DIR` as `NAME.bpf.o`, and each mutant, a known mistake that a build-time
//! switch turns on, as `NAME.MUTANT.bpf.o`; the types as `types.rs`.

mod bindings;
mod compile;

pub use bindings::bindings;
pub use compile::{compile, folder};

/// Builds all of a probe: its object, its mutants (the `NAME` of `#ifdef MUTANT_NAME`, in small letters) and its types,
/// which start with the probe's name.
///
/// # Panics
/// When a tool is missing or refuses a source: cargo shows the words.
pub fn probe(name: &str, mutants: &[&str]) {
    compile(name, name, &[]);
    for mutant in mutants {
        let switch = format!("-DMUTANT_{}", mutant.to_uppercase());
        compile(name, &format!("{name}.{mutant}"), &[&switch]);
    }
    bindings(&[&format!("{name}.h")], name);
}
