#!/bin/bash
# Provisions a lima machine, as the user who will work in it. Runs at each start; a second run installs nothing.
set -euo pipefail
/usr/local/lib/probelab/bootstrap
