//! Other ways to a machine: a shell, KVM, the user's own kernel, and this machine itself.

use std::{io::Write, process::Stdio};

use crate::{
    cached,
    common::{assert_error, said},
    lab, passed, path_of,
};

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_shell_runs_what_it_is_given() {
    let mut child = lab("shell --kernel 6.12")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"echo release-$(uname -r)\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("release-6.12"), "{text}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn the_kvm_lane_runs_or_says_why_not() {
    let said = said(&mut lab("run canary --kernel 6.12 --lane kvm"));
    match said.code {
        0 => assert!(said.out.contains("passed"), "{said:?}"),
        _ => assert_error(
            &said,
            69,
            &["the kvm lane cannot be used here:", "use the virtual lane"],
        ),
    }
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn the_user_s_own_kernel_boots() {
    let kernels = cached("kernels");
    let kernel = kernels
        .iter()
        .find(|item| item["about"].as_str().unwrap().starts_with("kernel 6.12"))
        .unwrap();
    let folder = path_of(kernel);
    let mut command = lab("run canary");
    command
        .arg("--kernel-image")
        .arg(folder.join("vmlinuz"))
        .arg("--modules")
        .arg(folder.join("modules"));
    let said = passed(&mut command);
    assert!(said.out.contains("vmlinuz"), "{said:?}");
}

#[test]
#[ignore = "needs the static programs and root: just test-vm"]
fn the_host_lane_runs_on_this_machine_s_kernel_or_says_what_it_needs() {
    let said = said(&mut lab("run canary --lane host"));
    if said.error.contains("the lane needs root") {
        assert_eq!(said.code, 69, "{said:?}");
    } else {
        assert_eq!(said.code, 0, "{said:?}");
    }
}
