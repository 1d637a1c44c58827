# The lab's recipes. `just` alone lists them; ci/bootstrap installs what they need.

static_target := "x86_64-unknown-linux-gnu"

# List the recipes.
default:
    @just --list --unsorted

# Build everything: the static programs of the guest, then the lab.
build:
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target {{ static_target }} -p guest -p probed
    cargo build --release --locked -p probelab

# Unit, property and snapshot tests; formatting and lints.
test:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo nextest run --workspace --locked --no-fail-fast

# Real kernels: every scenario on every pinned kernel, then the tests that need a machine.
test-vm: build
    target/release/probelab doctor
    target/release/probelab --allow-drift run all --kernel all
    PROBELAB_TEST_PROGRAM={{ justfile_directory() }}/target/release/probelab cargo nextest run --locked -p probelab --run-ignored only --no-fail-fast -j 1

# Every scenario on every kernel with both loaders, compared.
test-vm-both: build
    target/release/probelab --allow-drift run all --kernel all --loader both

# What the lab and the probes cost: start-up, digests, instructions, and the bcc tools beside them.
bench: build
    target/release/probelab --allow-drift bench vm
    target/release/probelab --allow-drift bench hooks
