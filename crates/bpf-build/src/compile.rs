//! From C to a BPF object.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A variable that cargo sets for build scripts.
pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run by cargo only"))
}

/// The project's `bpf/`.
///
/// # Panics
/// When it is not where it belongs.
pub fn folder() -> PathBuf {
    let bpf = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../../bpf");
    bpf.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", bpf.display()))
}

/// Where Debian and Ubuntu keep `asm/types.h`, which `clang -target bpf` does not look for by itself: for this machine's
/// own processor, or for another one that is compiled for.
pub(crate) fn multiarch_include() -> Option<PathBuf> {
    let arch = variable("CARGO_CFG_TARGET_ARCH");
    [
        format!("/usr/include/{arch}-linux-gnu"),
        format!("/usr/{arch}-linux-gnu/include"),
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|directory| directory.is_dir())
}

/// Compiles `bpf/SOURCE.bpf.c` to `OUT_DIR/OBJECT.bpf.o`.
///
/// # Panics
/// When clang is missing or refuses the source.
pub fn compile(source: &str, object: &str, options: &[&str]) {
    let bpf = folder();
    println!("cargo::rerun-if-changed={}", bpf.display());
    println!("cargo::rerun-if-env-changed=CLANG");
    let source = bpf.join(format!("{source}.bpf.c"));
    let object = Path::new(&variable("OUT_DIR")).join(format!("{object}.bpf.o"));
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let mut command = Command::new(&clang);
    command.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror"]);
    command.arg(format!(
        "-D__TARGET_ARCH_{}",
        match variable("CARGO_CFG_TARGET_ARCH").as_str() {
            "x86_64" => "x86",
            "aarch64" => "arm64",
            other => other,
        }
    ));
    // Debug line tables must not name the machine they were made on: equal sources give equal objects.
    command.arg(format!("-ffile-prefix-map={}=.", bpf.display()));
    command.arg("-ffile-compilation-dir=.");
    command.args(options).arg("-c").arg(&source).arg("-o").arg(object);
    if let Some(directory) = multiarch_include() {
        command.arg("-idirafter").arg(directory);
    }
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{clang} failed on {} ({status})", source.display()),
        Err(error) => panic!("cannot run {clang}: {error}; install clang or set CLANG"),
    }
}
