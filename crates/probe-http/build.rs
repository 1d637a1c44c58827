//! Compiles the kernel half to BPF objects, the shared parser for this machine, and the shared types to Rust.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Source, object, extra compiler options.
const OBJECTS: [(&str, &str, &[&str]); 3] = [
    ("http.bpf.c", "http.bpf.o", &[]),
    (
        "http.bpf.c",
        "http.wrong_pairing.bpf.o",
        &["-DMUTANT_WRONG_PAIRING"],
    ),
    ("empty.bpf.c", "empty.bpf.o", &[]),
];

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run by cargo only"))
}

/// Where Debian and Ubuntu keep `asm/types.h`, which `clang -target bpf` does not look for by itself.
fn multiarch_include() -> Option<PathBuf> {
    let directory = PathBuf::from(format!(
        "/usr/include/{}-linux-gnu",
        variable("CARGO_CFG_TARGET_ARCH")
    ));
    directory.is_dir().then_some(directory)
}

fn compile_bpf(source: &Path, object: &Path, options: &[&str]) {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let mut command = Command::new(&clang);
    command.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror"]);
    // Debug line tables must not name the machine they were made on: equal sources give equal objects.
    command.arg(format!(
        "-ffile-prefix-map={}=.",
        source.parent().unwrap_or(Path::new("/")).display()
    ));
    command.args(options).arg("-c").arg(source).arg("-o").arg(object);
    if let Some(directory) = multiarch_include() {
        command.arg("-idirafter").arg(directory);
    }
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{clang} failed on {} ({status})", source.display()),
        Err(error) => panic!("cannot run {clang}: {error}; install clang or set CLANG"),
    }
}

fn main() {
    let bpf = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../../bpf");
    let bpf = bpf
        .canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", bpf.display()));
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-changed={}", bpf.display());
    println!("cargo::rerun-if-changed=src/parser.c");
    println!("cargo::rerun-if-env-changed=CLANG");

    for (source, object, options) in OBJECTS {
        compile_bpf(&bpf.join(source), &out.join(object), options);
    }

    cc::Build::new()
        .file("src/parser.c")
        .include(&bpf)
        .flag_if_supported("-std=gnu11")
        .warnings(true)
        .compile("http_parser");

    bindgen::Builder::default()
        .header(bpf.join("http.h").display().to_string())
        .header(bpf.join("http_parser.h").display().to_string())
        .clang_arg(format!("-I{}", bpf.display()))
        .allowlist_item("(http|HTTP)_.*")
        .blocklist_function(".*")
        .blocklist_item("http_parser_t|HTTP_T.|HTTP_VERSION_.*|http_segment_event")
        .prepend_enum_name(false)
        .derive_default(true)
        .derive_eq(true)
        .derive_ord(true)
        .layout_tests(true)
        .parse_callbacks(Box::new(PlainData))
        .generate()
        .unwrap_or_else(|error| panic!("cannot read bpf/http.h: {error}; is libclang installed?"))
        .write_to_file(out.join("types.rs"))
        .unwrap_or_else(|error| panic!("cannot write types.rs: {error}"));
}

/// Has every shared struct proven free of padding by the compiler, so that bytes can become values.
#[derive(Debug)]
struct PlainData;

impl bindgen::callbacks::ParseCallbacks for PlainData {
    fn add_derives(&self, info: &bindgen::callbacks::DeriveInfo<'_>) -> Vec<String> {
        if info.kind == bindgen::callbacks::TypeKind::Struct {
            vec!["bytemuck::Pod".to_owned(), "bytemuck::Zeroable".to_owned()]
        } else {
            Vec::new()
        }
    }
}
