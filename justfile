# The lab's recipes. `just` alone lists them; ci/bootstrap installs what they need.

static_target := "x86_64-unknown-linux-gnu"
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER := if arch() == "x86_64" { "cc" } else { "x86_64-linux-gnu-gcc" }
# Kernels of test-vm; the flake's lab shell says '*-nix'.
test_kernels := env("PROBELAB_TEST_KERNELS", "all")

# Its loader; the tests that need a machine use the other one, test-vm-both uses both.
test_loader := env("PROBELAB_TEST_LOADER", "libbpf")

# One for each kind of probe that has hooks of its own, as they are in use: a server under load, a program of a language.
probe_scenarios := "activity calls-fortran connect-latency drop-filter http-latency runq-latency xdp-blocklist"

# List the recipes.
default:
    @just --list --unsorted

# What is in the guest must not depend on where it was built: its bytes are inputs of every digest. ci/rustc takes the folders out
# of them, and there is no optimization across the units of a crate, which names symbols by a hash that differs by folder.
guest_flags := "-C target-feature=+crt-static -C lto=off"

# Build everything: the static programs of the guest, then the lab.
build:
    RUSTFLAGS="{{ guest_flags }}" PROBELAB_RUSTC_WRAPPER="${RUSTC_WRAPPER:-}" RUSTC_WRAPPER='{{ justfile_directory() }}/ci/rustc' cargo build --release --locked --target {{ static_target }} -p guest -p probed -p checker
    cargo build --release --locked -p probelab

# Unit, property and snapshot tests; formatting and lints.
test:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo nextest run --workspace --locked --no-fail-fast

# Real kernels: every scenario on every pinned kernel, then the tests that need a machine.
test-vm: build
    target/release/probelab doctor
    target/release/probelab --allow-drift run all --kernel '{{ test_kernels }}' --loader {{ test_loader }}
    PROBELAB_TEST_PROGRAM={{ justfile_directory() }}/target/release/probelab cargo nextest run --workspace --locked -E 'package(probelab)' --run-ignored only --no-fail-fast -j 3

# Every scenario on every kernel with both loaders, compared.
test-vm-both: build
    target/release/probelab --allow-drift run all --kernel all --loader both

# What the lab and the probes cost: start-up, digests, instructions, nanoseconds, and others' tools beside them.
bench: build
    target/release/probelab --allow-drift bench vm
    target/release/probelab --allow-drift bench hooks
    target/release/probelab --allow-drift bench daemon
    target/release/probelab --allow-drift bench kills
    target/release/probelab --allow-drift bench soak
    target/release/probelab --allow-drift bench check "$(ls -t target/{{ static_target }}/release/build/*/out/runq.bpf.o | head -n 1)"
    cargo bench --locked -p probe

# One scenario of each probe on every pinned build.
matrix-probes kernels="wide": build
    target/release/probelab --allow-drift matrix {{ probe_scenarios }} --kernel '{{ kernels }}' --records target/matrix --report html=target/matrix-probes.html

# Every scenario on every pinned build; what is recorded already is not run again.
matrix-wide: build
    target/release/probelab --allow-drift matrix --kernel wide --records target/matrix --report html=target/matrix.html

# The HTML report in a headless browser (needs chromium).
test-page:
    cargo nextest run --workspace --locked -E 'package(report)' --run-ignored only

# A picture of an HTML report, opened at one of its cells (needs chromium).
page-picture page="target/ci/matrix.html" cell="":
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,860 --screenshot={{ justfile_directory() }}/docs/page.png 'file://{{ justfile_directory() }}/{{ page }}{{ cell }}'

# Is the flake right, as far as this machine can tell? PROBELAB_NIXPKGS names a tree to evaluate against.
check-flake:
    ci/check-flake

# Does every command of the tutorial do what the page says? In a clone.
check-tutorial:
    ci/check-tutorial --target target

# Are the lima templates right? `ci/check-lima --provision` runs the provisioning, too.
check-lima:
    ci/check-lima

# Are the Kubernetes files right, as far as this machine can tell?
check-deploy:
    ci/check-deploy

# A machine with the whole lab, by lima.
lima-up template="lima/probelab.yaml":
    limactl start --tty=false --name=probelab --timeout=40m --mount-only={{ justfile_directory() }} {{ justfile_directory() }}/{{ template }}

# A shell in it.
lima-shell:
    limactl shell --workdir {{ justfile_directory() }} probelab

# Every scenario in it, on a copy of this checkout.
lima-test-vm:
    limactl shell --workdir / probelab {{ justfile_directory() }}/lima/in-machine just test-vm

# Takes it away.
lima-down:
    limactl delete --force probelab
