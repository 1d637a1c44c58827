# The same lab by Nix: tools, kernels, root filesystem and programs, pinned by flake.lock. Parts are in nix/.
{
  description = "Probelab: eBPF probes and the lab that proves them";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs = {
    self,
    nixpkgs,
  }: let
    inherit (nixpkgs) lib;
    forSystems = systems: function:
      lib.genAttrs systems (system: function nixpkgs.legacyPackages.${system});
    linux = ["x86_64-linux" "aarch64-linux"];
    # These run the lab in a virtual machine: see lima/.
    darwin = ["x86_64-darwin" "aarch64-darwin"];

    # Guests are x86-64 on every machine: their kernels and packages are those of the public cache, never rebuilt.
    guestPkgs = nixpkgs.legacyPackages.x86_64-linux;
    packagesOf = pkgs: import ./nix/packages.nix {inherit pkgs guestPkgs;};
  in {
    packages = forSystems linux packagesOf;

    devShells =
      forSystems linux (pkgs: let
        inherit (packagesOf pkgs) kernels rootfs;
      in {
        default = import ./nix/shell.nix {inherit pkgs;};
        lab = import ./nix/shell.nix {
          inherit pkgs;
          lab = {
            PROBELAB_KERNELS = kernels;
            PROBELAB_ROOTFS = rootfs;
            PROBELAB_TEST_KERNELS = "*-nix";
          };
        };
      })
      // forSystems darwin (pkgs: {
        default = pkgs.mkShellNoCC {packages = [pkgs.git pkgs.just pkgs.lima];};
      });

    apps = forSystems linux (pkgs: let
      packages = packagesOf pkgs;
      app = package: name: about: {
        type = "app";
        program = lib.getExe' package name;
        meta.description = about;
      };
    in {
      default = app packages.probelab "probelab" "The lab";
      probelab = app packages.probelab "probelab" "The lab";
      probed = app packages.probed "probed" "The probe daemon";
    });

    checks = forSystems linux (pkgs:
      import ./nix/checks.nix {
        inherit pkgs self;
        packages = packagesOf pkgs;
      });

    formatter = forSystems (linux ++ darwin) (pkgs: pkgs.alejandra);

    overlays.default = final: _: {
      inherit (packagesOf final) probelab probed;
    };

    nixosModules.default = import ./nix/module.nix {inherit self;};
  };
}
