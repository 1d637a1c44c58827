# Everything that the recipes of the justfile call: ci/bootstrap then installs nothing.
{
  pkgs,
  # Kernels and root filesystem to run, where they are wanted: a gigabyte that building and testing does not need.
  lab ? {},
}: let
  rust = import ./rust.nix pkgs;
  tools = import ./tools.nix pkgs;
in
  pkgs.mkShell ({
      packages = rust.nativeBuildInputs ++ tools.run ++ tools.develop;
      # glibc.static: programs of the guest are linked statically.
      buildInputs = rust.buildInputs ++ [pkgs.glibc.static];
      inherit (rust.env) CLANG;
      # Fortify wants optimisation, which debug builds of C dependencies do not have.
      hardeningDisable = ["fortify"];
    }
    // lab)
