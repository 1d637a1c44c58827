//! Compiles the kernel halves to BPF objects and the shared types to Rust.

fn main() {
    bpf_build::one_of_several("drop", &["ipv4_only", "slower"]);
    bpf_build::one_of_several("blocklist", &["untagged_only", "abort_on_error", "shadow_drops"]);
}
