//! Compiles the kernel half and its known mistake to BPF objects, and the shared types to Rust.

fn main() {
    bpf_build::probe("exits", &["every_thread"]);
}
