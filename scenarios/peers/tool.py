"""Starts a bcc tool and says when it traces: FILE appears once the tool has had two seconds of guest time.

Arguments: FILE, then the tool and its arguments. What the tool prints is not read.
"""

import os
import subprocess
import sys
import time

ready, *command = sys.argv[1:]
with open(ready + ".out", "wb") as out:
    tool = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
time.sleep(2)
# A tool that this kernel does not let start is an answer, too.
print(f"{command[0]}: {'running' if tool.poll() is None else 'ended'}", file=sys.stderr)
open(ready, "w").close()
tool.wait()
# The stage's programs must live until the lab ends them.
while True:
    time.sleep(3600)
