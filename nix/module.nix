# services.probed: the probe daemon as a systemd service.
{self}: {
  config,
  lib,
  pkgs,
  ...
}: let
  cfg = config.services.probed;
  # YAML reads JSON, and a file may hold several documents.
  manifest = pkgs.writeText "probed.yaml" (lib.concatMapStrings (probe: ''
    ---
    ${builtins.toJSON ({apiVersion = "probelab.dev/v1alpha1";} // probe)}
  '')
  cfg.probes);
in {
  options.services.probed = {
    enable = lib.mkEnableOption "probed, which exports service-level indicators out of the kernel";

    package = lib.mkOption {
      type = lib.types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.probed;
      defaultText = lib.literalExpression "probelab.packages.\${system}.probed";
      description = "The package to run.";
    };

    probes = lib.mkOption {
      type = lib.types.listOf (lib.types.attrsOf lib.types.anything);
      default = [];
      example = [
        {
          kind = "HttpProbe";
          metadata.name = "web";
          spec = {
            interface = "eth0";
            ports = [8000];
          };
        }
      ];
      description = "The documents of the manifest; `apiVersion` is filled in. `probed check` has read it before the service changes.";
    };

    listen = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1:9464";
      description = "Where /metrics, /ready and /healthz are served. They are served to everyone who can reach the address.";
    };

    loader = lib.mkOption {
      type = lib.types.enum ["aya" "libbpf"];
      default = "aya";
      description = "The library that loads the probes.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.probes != [];
        message = "services.probed.probes is empty: the daemon would have nothing to do.";
      }
    ];

    systemd.services.probed = {
      description = "Probe daemon";
      wantedBy = ["multi-user.target"];
      after = ["network.target"];
      serviceConfig = {
        ExecStartPre = "${lib.getExe cfg.package} check ${manifest}";
        ExecStart = lib.escapeShellArgs [
          (lib.getExe cfg.package)
          "run"
          "--manifest"
          "${manifest}"
          "--listen"
          cfg.listen
          "--loader"
          cfg.loader
        ];
        Restart = "on-failure";
        # It gives these up itself once its probes are attached; here they are all it can ever have.
        CapabilityBoundingSet = ["CAP_BPF" "CAP_PERFMON" "CAP_NET_ADMIN" "CAP_NET_RAW" "CAP_SYS_ADMIN" "CAP_SYS_RESOURCE"];
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        ProtectHome = "read-only";
        PrivateTmp = true;
        StateDirectory = "probed";
        WorkingDirectory = "/var/lib/probed";
      };
    };
  };
}
