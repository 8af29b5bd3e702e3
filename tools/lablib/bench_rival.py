# SPDX-License-Identifier: BSD-2-Clause
"""Another hypervisor's benchmark of the same cases (bench.py's --rival).

It takes `--runs N CASE...` and prints `CASE total=... gap=... sent=...` lines.
"""
import re
import subprocess

CASES = ("idle", "d20", "d100")
# figure: (what, target of ours / its)
FIGURES = {"total": ("total time / rival's", 0.5), "gap": ("guest gap / rival's", 1.0),
           "sent": ("MiB sent / rival's", 1.0)}


def figures(program, runs, say):
    """The other hypervisor's medians by case, from its own benchmark's lines."""
    say("the rival, in the same sitting")
    text = subprocess.run([program, "--runs", str(runs), *CASES],
                          capture_output=True, text=True, check=True, timeout=3600).stdout
    found = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] not in CASES:
            continue
        values = dict(w.split("=", 1) for w in words if "=" in w)
        number = {k: float(re.match(r"[\d.]+", v)[0]) for k, v in values.items()
                  if re.match(r"[\d.]+", v)}
        found[words[0]] = {k: number[k] for k in ("total", "gap", "sent", "down") if k in number}
        found[words[0]]["rate"] = values.get("rate")
    return found
