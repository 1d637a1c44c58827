//! Compiles the kernel half and its known mistakes to BPF objects, and the shared types to Rust.

fn main() {
    bpf_build::probe("calls", &["zero_key", "pointer_add"]);
}
