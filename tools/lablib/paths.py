# SPDX-License-Identifier: BSD-2-Clause
"""Where the lab finds and keeps things."""
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
GUEST = os.path.join(TOP, "build", "guest")


class LabError(Exception):
    """Something the user can be told in one line."""


def root_dir():
    """The directory of all labs of this user."""
    return os.environ.get("TERN_LAB_DIR", f"/tmp/tern-lab-{os.getuid()}")


def lab_dir(name=None):
    name = name or os.environ.get("TERN_LAB", "default")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise LabError(f"bad lab name '{name}'")
    return os.path.join(root_dir(), name)


def relay():
    """The relay's program, compiled when it is missing or old."""
    source, program = f"{TOP}/tools/relay.c", f"{BUILD}/relay"
    if not os.access(BUILD, os.W_OK):
        program = f"{root_dir()}/relay"
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(program), exist_ok=True)
        subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-o", program, source], check=True)
    return program
