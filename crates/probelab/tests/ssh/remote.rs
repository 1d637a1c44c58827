//! A machine that runs: a virtual one, in real time, with a real OpenSSH server that only this machine reaches.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::{probelab, said};

/// The system of the machine. It is no lab's guest: it only has a shell, a server and the usual small programs.
const SYSTEM: &str = r#"
suite = "trixie"
packages = ["busybox-static", "openssh-server"]
drop = [
  "etc/apt", "etc/init.d", "etc/ssh", "usr/bin/perl*", "usr/include", "usr/lib/*/perl*", "usr/lib/*/gconv", "usr/lib/apt",
  "usr/lib/dpkg", "usr/lib/systemd", "usr/lib/udev", "usr/share", "usr/lib/python3*", "var/cache", "var/lib", "var/log",
]
python = []
applets = [
  "cat", "cp", "cut", "echo", "false", "grep", "head", "id", "ifconfig", "insmod", "ls", "lsmod", "mkdir", "mktemp", "modprobe",
  "mount", "mv", "ps", "readlink", "rm", "rmdir", "rmmod", "sed", "sh", "sleep", "sort", "switch_root", "tail", "touch",
  "true", "umount", "uname", "wc", "chmod",
]
modules = []

[files]
"etc/group" = "root:x:0:\nnogroup:x:65534:\nalice:x:1000:\n"
"etc/hosts" = "127.0.0.1 localhost\n"
"etc/nsswitch.conf" = "hosts: files\npasswd: files\ngroup: files\n"
"etc/passwd" = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/tmp:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n"
"#;

/// Modules of the machine: the first ones for its network, the others to be loaded when they are asked for.
const MODULES: [&str; 6] = [
    "virtio_pci",
    "virtio_net",
    "veth",
    "sch_ingress",
    "cls_bpf",
    "dummy",
];

/// PID 1: an initramfs cannot be left by those who visit, so it moves the system into memory first.
const INIT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin
mkdir -p /proc /sys /dev /new
mount -t proc proc /proc
mount -t tmpfs -o mode=755,size=60% root /new
cp -a /bin /sbin /lib /lib64 /usr /etc /root /remote /new/
mkdir /new/proc /new/sys /new/dev /new/run /new/tmp
# switch_root deletes an initramfs only where it sees the file that makes one.
touch /init
exec switch_root /new /remote/start
"#;

/// What a boot of any distribution does, as far as it is seen by a visitor. Programs cannot be started in /tmp.
const START: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm "/lib/modules/$(uname -r)"
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o noexec tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mv /remote/modules/* "/lib/modules/$(uname -r)/"
modprobe virtio_pci
modprobe virtio_net
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f /remote/sshd_config &
echo remote: ready
while :; do wait; sleep 1; done
"#;

const SSHD: &str = "\
HostKey /remote/host_key
AuthorizedKeysFile /remote/key.pub
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
PidFile none
";

/// What a visitor could leave behind, one thing a line.
const STATE: &str = r"
for folder in /tmp /dev/shm /run /mnt /root /sys/fs/bpf; do for name in $(ls -A $folder 2>/dev/null); do echo file $folder/$name; done; done
sed 's/^/mount /' /proc/mounts
for process in /proc/[0-9]*; do exe=$(readlink $process/exe) && echo process $exe; done
cut -d' ' -f1 /proc/modules | sed 's/^/module /'
ls -d /sys/fs/cgroup/*/ 2>/dev/null | sed 's/^/cgroup /'
sed 's/^/controllers /' /sys/fs/cgroup/cgroup.subtree_control
echo statistics $(cat /proc/sys/kernel/bpf_stats_enabled) sysrq $(cat /proc/sys/kernel/sysrq)
ls /sys/class/net | sed 's/^/interface /'
grep -l prog_type /proc/[0-9]*/fdinfo/* 2>/dev/null | sed 's/^/bpf /'
/remote/probed programs | sed 's/^/program /'
";

/// The machine. Dropping it ends it.
pub struct Remote {
    folder: tempfile::TempDir,
    port: u16,
    qemu: Child,
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Remote {
    /// Boots the machine and waits until it lets us in.
    pub fn boot() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("probelab-remote-")
            .tempdir()
            .unwrap();
        for name in ["key", "host_key"] {
            let path = folder.path().join(name);
            done(
                Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(path),
            );
        }
        let kernel = kernel();
        let initrd = initrd(folder.path(), &kernel);
        // Free now; should another program take it first, QEMU says so.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let host_key = fs::read_to_string(folder.path().join("host_key.pub")).unwrap();
        fs::write(
            folder.path().join("known_hosts"),
            format!("[127.0.0.1]:{port} {host_key}"),
        )
        .unwrap();
        let qemu = Command::new("qemu-system-x86_64")
            .args([
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max",
                "-smp",
                "2",
                "-m",
                "2048",
            ])
            .args(["-nodefaults", "-display", "none", "-no-reboot", "-kernel"])
            .arg(kernel.join("vmlinuz"))
            .arg("-initrd")
            .arg(initrd)
            .args([
                "-append",
                "console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable rdinit=/remote/init",
            ])
            .arg("-serial")
            .arg(format!("file:{}", folder.path().join("console").display()))
            .arg("-netdev")
            .arg(format!(
                "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"
            ))
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut remote = Self { folder, port, qemu };
        remote.wait();
        remote
    }

    fn wait(&mut self) {
        let began = Instant::now();
        while self.try_ssh("true").is_none() {
            assert!(
                began.elapsed() < Duration::from_secs(300) && self.qemu.try_wait().unwrap().is_none(),
                "the machine does not come up:\n{}",
                self.console()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
        println!(
            "the machine lets us in after {:.1} s",
            began.elapsed().as_secs_f64()
        );
    }

    /// Options of `ssh` for this machine. The emulator is slow, so the ciphers are cheap.
    pub fn options(&self) -> Vec<String> {
        let known = self.folder.path().join("known_hosts");
        let mut options = vec![format!("UserKnownHostsFile={}", known.display())];
        options.extend(self.options_without_host_key());
        options
    }

    /// The same without the machine's key.
    pub fn options_without_host_key(&self) -> impl Iterator<Item = String> {
        let key = self.folder.path().join("key");
        [
            format!("Port={}", self.port),
            format!("IdentityFile={}", key.display()),
            "IdentitiesOnly=yes".into(),
            "GlobalKnownHostsFile=/dev/null".into(),
            "KexAlgorithms=curve25519-sha256".into(),
            "Ciphers=aes128-ctr".into(),
            "MACs=umac-64-etm@openssh.com".into(),
            "Compression=no".into(),
        ]
        .into_iter()
    }

    fn try_ssh(&self, script: &str) -> Option<String> {
        let mut command = Command::new("ssh");
        for option in self.options() {
            command.args(["-o", &option]);
        }
        let output = command
            .args([
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=30",
                "root@127.0.0.1",
                script,
            ])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    }

    /// Runs a script there; what it prints.
    pub fn ssh(&self, script: &str) -> String {
        self.try_ssh(&format!("{{ {script}\n}}; true"))
            .expect("the machine lets us in")
    }

    /// `uname -r`.
    pub fn kernel_release(&self) -> String {
        self.ssh("uname -r").trim().to_owned()
    }

    /// What is there, sorted.
    pub fn state(&self) -> String {
        let text = self.ssh(STATE);
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Fails unless the machine is soon as it was.
    #[track_caller]
    pub fn assert_state(&self, before: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut now = self.state();
        // What a closed connection still has to do takes a moment.
        while now != before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_secs(1));
            now = self.state();
        }
        assert_eq!(before, now, "something was left behind");
    }

    /// What the machine's console shows.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("console")).unwrap_or_default())
            .into_owned()
    }
}

#[track_caller]
fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// The folder of the pinned 6.12.
fn kernel() -> PathBuf {
    let fetched = said(&mut probelab("--allow-drift -q kernels fetch 6.12"));
    assert_eq!(fetched.code, 0, "{fetched:?}");
    let list = said(&mut probelab("cache list --json"));
    let items: Vec<serde_json::Value> = serde_json::from_str(&list.out).unwrap();
    let is_wanted = |item: &&serde_json::Value| item["about"].as_str().unwrap().starts_with("kernel 6.12:");
    let item = items.iter().find(is_wanted).unwrap();
    PathBuf::from(item["path"].as_str().unwrap())
}

/// The system and, after it, what makes it this machine.
fn initrd(folder: &Path, kernel: &Path) -> PathBuf {
    let own = folder.join("own");
    let remote = own.join("remote");
    fs::create_dir_all(remote.join("modules")).unwrap();
    for (name, text) in [("init", INIT), ("start", START), ("sshd_config", SSHD)] {
        fs::write(remote.join(name), text).unwrap();
        done(Command::new("chmod").arg("755").arg(remote.join(name)));
    }
    for name in ["host_key", "key.pub"] {
        fs::copy(folder.join(name), remote.join(name)).unwrap();
    }
    fs::copy(probed(), remote.join("probed")).unwrap();
    write_modules(kernel, &remote.join("modules"));
    let initrd = folder.join("initrd");
    fs::copy(system(), &initrd).unwrap();
    done(
        Command::new("sh")
            .args([
                "-ec",
                "find . | cpio --quiet --create --format=newc --owner=0:0 >> \"$1\"",
                "sh",
            ])
            .arg(&initrd)
            .current_dir(&own),
    );
    initrd
}

/// Plain modules with the list of what needs what.
fn write_modules(kernel: &Path, folder: &Path) {
    let modules = vm::modules::Modules::find(&kernel.join("modules")).unwrap();
    let selection = modules.select(&MODULES.map(str::to_owned), false).unwrap();
    for (name, bytes) in &selection.bytes {
        fs::write(folder.join(format!("{name}.ko")), bytes).unwrap();
    }
    let lines = selection.index.lines().filter_map(|line| {
        let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let name = words.pop().filter(|name| *name != "builtin")?;
        let needs: Vec<String> = words.iter().rev().map(|name| format!("{name}.ko")).collect();
        Some(format!("{name}.ko: {}\n", needs.join(" ")))
    });
    fs::write(folder.join("modules.dep"), lines.collect::<String>()).unwrap();
}

/// The archive of [`SYSTEM`], from the lab's cache or built now.
fn system() -> PathBuf {
    let recipe = vm::rootfs::Rootfs::parse("the machine's system", SYSTEM).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let cache = vm::cache::Cache::open().unwrap();
    let progress = vm::Progress::new(|_| {});
    let mirror = std::env::var("PROBELAB_MIRROR").ok();
    let built = vm::rootfs::get(&cache, &recipe, None, mirror.as_deref(), true, &progress);
    runtime.block_on(built).unwrap().archive
}

/// The static daemon: it lists the machine's BPF programs.
fn probed() -> PathBuf {
    let built = crate::common::root().join("target/x86_64-unknown-linux-gnu/release/probed");
    std::env::var_os("PROBELAB_PROBED").map_or(built, PathBuf::from)
}
