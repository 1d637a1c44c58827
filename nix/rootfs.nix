# The root filesystem of vm/rootfs.toml from nixpkgs: the same programs under the same names, as one cpio archive that
# PROBELAB_ROOTFS names. Links, folders, files and devices are the recipe's: `probelab rootfs pack` adds them.
{
  pkgs,
  guestPkgs,
  probelab,
}: let
  inherit (pkgs) lib;
  recipe = lib.importTOML ../vm/rootfs.toml;

  python = guestPkgs.python3.withPackages (packages: [packages.uvicorn]);
  # What stands for each package of the recipe. One without a line here is an error, so that the two cannot drift.
  counterparts = {
    busybox-static = [guestPkgs.pkgsStatic.busybox];
    hey = [guestPkgs.hey];
    iproute2 = [guestPkgs.iproute2];
    # nixpkgs builds bcc without the libbpf tools, which only `probelab bench hooks` calls.
    libbpf-tools = [];
    libgfortran5 = [guestPkgs.gfortran.cc.lib];
    nginx = [guestPkgs.nginx];
    python3-minimal = [python];
    python3-uvicorn = [python];
    tcpdump = [guestPkgs.tcpdump];
  };
  counterpart = package:
    counterparts.${package} or (throw "vm/rootfs.toml: no counterpart of ${package} in nix/rootfs.nix");
  # capsh is in libcap, which Debian's iproute2 brings along.
  packages = lib.unique (lib.concatMap counterpart recipe.packages ++ [guestPkgs.libcap]);
  closure = pkgs.closureInfo {rootPaths = packages ++ [guestPkgs.glibc];};

  # Nothing in the guest reads these, and every checkpoint would carry them.
  unread = [
    "include"
    "lib/python3*/config-*"
    "lib/python3*/ensurepip"
    "lib/python3*/idlelib"
    "lib/python3*/test"
    "lib/python3*/tkinter"
    "lib/gconv"
    "share/doc"
    "share/i18n"
    "share/info"
    "share/locale"
    "share/man"
  ];
in
  pkgs.runCommand "probelab-rootfs.cpio" {
    nativeBuildInputs = [probelab];
    passthru = {inherit packages;};
  } ''
    mkdir -p tree/nix/store tree/usr/bin tree/usr/sbin tree/usr/lib64
    xargs cp -a -t tree/nix/store < ${closure}/store-paths
    chmod -R u+w tree
    for store in tree/nix/store/*; do
      for name in ${lib.escapeShellArgs unread}; do
        rm -rf "$store"/$name
      done
      find "$store" -name '*.opt-[12].pyc' -delete
    done
    # Debian's two folders: a scenario may say /usr/sbin/ip. busybox's own links would hide better programs.
    for program in ${lib.concatMapStringsSep " " (package: "${lib.getBin package}/bin/*") packages}; do
      name=$(basename "$program")
      case $program in
        *busybox*/bin/busybox) ;;
        *busybox*) continue ;;
      esac
      ln -sf "$program" tree/usr/bin/"$name"
      ln -sf "$program" tree/usr/sbin/"$name"
    done
    # A program that was compiled outside of Nix looks for its loader here. (It finds libc so, and no other library.)
    ln -s ${guestPkgs.glibc}/lib/ld-linux-x86-64.so.2 tree/usr/lib64/
    PROBELAB_CACHE=$PWD/cache probelab rootfs pack tree $out
  ''
