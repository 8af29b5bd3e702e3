# SPDX-License-Identifier: BSD-2-Clause
"""The emulator's own command line: qmp(lab, host, "screendump", filename=...) -> its answer."""
import json
import socket


def qmp(lab, host, command, **arguments):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(f"{lab.dir}/{host}/qmp")
        lines = s.makefile("rb")
        json.loads(lines.readline())        # the greeting
        for what, args in (("qmp_capabilities", {}), (command, arguments)):
            s.sendall(json.dumps({"execute": what, "arguments": args}).encode() + b"\n")
            answer = json.loads(lines.readline())
            while "event" in answer:
                answer = json.loads(lines.readline())
            if "error" in answer:
                raise RuntimeError(f"{what}: {answer['error']['desc']}")
    return answer["return"]
