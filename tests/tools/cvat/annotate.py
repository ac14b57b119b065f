"""Runs `cvat-cli` as a person would, and prints how it ended."""

import json
import subprocess
import sys

done = subprocess.run([sys.executable, "-m", "cvat_cli", *sys.argv[1:]], capture_output=True, text=True, check=False)
sys.stdout.write(json.dumps({"status": done.returncode, "out": done.stdout, "err": done.stderr}))
