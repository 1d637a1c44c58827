//! Compiles the kernel half to BPF objects, the shared parser for this machine, and the shared types to Rust.

fn main() {
    bpf_build::compile("http", "http", &[]);
    bpf_build::compile("http", "http.wrong_pairing", &["-DMUTANT_WRONG_PAIRING"]);
    bpf_build::compile("empty", "empty", &[]);
    bpf_build::bindings(&["http.h", "http_parser.h"], "http");

    println!("cargo::rerun-if-changed=src/parser.c");
    cc::Build::new()
        .file("src/parser.c")
        .include(bpf_build::folder())
        .flag_if_supported("-std=gnu11")
        .warnings(true)
        .compile("http_parser");
}
