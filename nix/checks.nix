# What `nix flake check` builds: formatting, lints, tests, the NixOS module, and real kernels.
{
  pkgs,
  self,
  packages,
}: let
  inherit (pkgs) lib;
  tools = import ./tools.nix pkgs;
  # The tests read documents and recipes, too.
  workspace = name: extraTools: command:
    packages.probelab.overrideAttrs (old: {
      pname = "probelab-${name}";
      src = self;
      outputs = ["out"];
      nativeBuildInputs = old.nativeBuildInputs ++ extraTools;
      buildInputs = old.buildInputs ++ [pkgs.stdenv.cc.libc.static];
      buildPhase = ''
        runHook preBuild
        export HOME=$TMPDIR PROBELAB_CACHE=$TMPDIR/cache
        ${command}
        runHook postBuild
      '';
      installPhase = "touch $out";
      postInstall = "";
    });
in {
  fmt = workspace "fmt" [pkgs.rustfmt] "cargo fmt --all --check";
  clippy = workspace "clippy" [pkgs.clippy] "cargo clippy --workspace --all-targets --offline --locked -- -D warnings";
  nextest =
    workspace "nextest" (tools.run ++ [pkgs.cargo-nextest pkgs.gfortran])
    "cargo nextest run --workspace --offline --locked --no-fail-fast";

  # The module by itself, and its manifest read by the daemon. (A whole NixOS would be evaluated for one unit.)
  module = let
    options = {
      assertions = lib.mkOption {type = lib.types.listOf lib.types.anything;};
      systemd.services = lib.mkOption {type = lib.types.attrsOf (lib.types.attrsOf lib.types.anything);};
    };
    machine = lib.evalModules {
      specialArgs = {inherit pkgs;};
      modules = [
        self.nixosModules.default
        {inherit options;}
        {
          services.probed = {
            enable = true;
            probes = [
              {
                kind = "HttpProbe";
                metadata.name = "web";
                spec = {
                  interface = "lo";
                  ports = [8000];
                };
              }
            ];
          };
        }
      ];
    };
    inherit (machine.config) assertions;
    service = machine.config.systemd.services.probed.serviceConfig;
  in
    assert lib.all (entry: entry.assertion) assertions;
      pkgs.runCommand "probed-module" {inherit (service) ExecStart;} ''
        ${service.ExecStartPre}
        echo "$ExecStart" > $out
      '';

  # Real kernels in the build sandbox, which has no KVM and needs none: the virtual lane only computes.
  vm =
    pkgs.runCommand "probelab-vm" {
      nativeBuildInputs = [packages.probelab];
      PROBELAB_KERNELS = packages.kernels;
      PROBELAB_ROOTFS = packages.rootfs;
    } ''
      export PROBELAB_CACHE=$TMPDIR/cache
      probelab run canary broken-panic http-latency http-latency-wrong-pairing \
        --kernel '*-nix' --jobs "$NIX_BUILD_CORES" --records $out
    '';
}
