"""Runs `fathom tator` as a person or Tator would, and prints how it ended."""

import json
import subprocess
import sys

command = [sys.executable, "-m", "fathom_client", "tator", *sys.argv[1:]]
done = subprocess.run(command, capture_output=True, text=True, check=False)
sys.stdout.write(json.dumps({"status": done.returncode, "out": done.stdout, "err": done.stderr}))
