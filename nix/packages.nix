# The programs, their BPF objects, kernels and root filesystem.
#
# pkgs       packages of the machine that the lab runs on
# guestPkgs  packages of the guest, which is x86-64
{
  pkgs,
  guestPkgs,
}: let
  inherit (pkgs) lib;
  # Compiled here for the guest, on x86-64 without crossing anything.
  crossPkgs =
    if pkgs.stdenv.hostPlatform.isx86_64
    then pkgs
    else pkgs.pkgsCross.gnu64;

  source = import ./source.nix lib;
  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;

  program = platform: {
    name,
    about,
    ...
  } @ options:
    platform.rustPlatform.buildRustPackage (lib.recursiveUpdate {
      pname = name;
      inherit version;
      src = source;
      cargoLock.lockFile = ../Cargo.lock;
      inherit (import ./rust.nix platform) nativeBuildInputs buildInputs env;
      cargoBuildFlags = ["-p" name];
      # Tests are in the flake's checks, once for all programs.
      doCheck = false;
      meta = {
        description = about;
        license = with lib.licenses; [mit asl20];
        mainProgram = name;
        platforms = lib.platforms.linux;
      };
    } (removeAttrs options ["name" "about"]));

  # Completions and man pages, which a program writes itself: not where it cannot run.
  pages = platform: name:
    lib.optionalString (platform.stdenv.buildPlatform.canExecute platform.stdenv.hostPlatform) ''
      installShellCompletion --cmd ${name} \
        --bash <($out/bin/${name} completions bash) \
        --fish <($out/bin/${name} completions fish) \
        --zsh <($out/bin/${name} completions zsh)
      $out/bin/${name} man man-pages
      installManPage man-pages/*
    '';

  # A guest has no libraries of its own, and a node need not have ours.
  static = platform: options:
    (program platform (options // {RUSTFLAGS = "-C target-feature=+crt-static";})).overrideAttrs (old: {
      buildInputs = old.buildInputs ++ [platform.stdenv.cc.libc.static];
    });

  probedOf = platform:
    static platform {
      name = "probed";
      about = "Service-level indicators out of the kernel, with no change to the application";
      outputs = ["out" "bpf"];
      nativeBuildInputs = (import ./rust.nix platform).nativeBuildInputs ++ [platform.installShellFiles];
      # The objects as they are in the program; the known mistakes (NAME.MUTANT.bpf.o) stay behind.
      postInstall = ''
        find target -path '*/out/*.bpf.o' ! -name '*.*.bpf.o' \
          -exec install -D -m 444 -t "$bpf/share/probelab/bpf" {} +
        ${pages platform "probed"}
      '';
    };

  guest = static crossPkgs {
    name = "guest";
    about = "PID 1 of the lab's guests";
  };

  checker = static crossPkgs {
    name = "checker";
    about = "Checks BPF objects that it has never seen, on the kernel it runs on";
  };

  lab = program pkgs {
    name = "probelab";
    about = "Boots pinned kernels and proves eBPF probes on them";
    nativeBuildInputs = (import ./rust.nix pkgs).nativeBuildInputs ++ [pkgs.makeWrapper pkgs.installShellFiles];
    # What the lab calls comes last in PATH: the tools of a development shell go before.
    postInstall = ''
      mkdir -p $out/share/probelab
      cp -r bpf scenarios vm $out/share/probelab/
      ${pages pkgs "probelab"}
      wrapProgram $out/bin/probelab \
        --set-default PROBELAB_GUEST ${lib.getExe guest} \
        --set-default PROBELAB_CHECKER ${lib.getExe checker} \
        --set-default PROBELAB_PROBED ${lib.getExe (probedOf crossPkgs)} \
        --suffix PATH : ${lib.makeBinPath (import ./tools.nix pkgs).run}
    '';
  };
in rec {
  default = probelab;
  probelab = lab;
  probed = probedOf pkgs;
  inherit checker guest;
  inherit (probed) bpf;
  kernels = import ./kernels.nix {inherit pkgs guestPkgs;};
  rootfs = import ./rootfs.nix {inherit pkgs guestPkgs probelab;};
}
