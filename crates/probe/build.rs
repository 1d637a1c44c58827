//! Makes the types of `bpf/select.h` known to Rust.

fn main() {
    println!(
        "cargo::rerun-if-changed={}",
        bpf_build::folder().join("select.h").display()
    );
    bpf_build::bindings(&["select.h"], "select");
}
