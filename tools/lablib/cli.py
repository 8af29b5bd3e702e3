# SPDX-License-Identifier: BSD-2-Clause
"""The command line of tools/lab."""
import argparse
import os
import re
import select
import signal
import socket
import sys
import termios
import tty

from . import judges
from .client import DEFAULTS, Lab
from .paths import LabError

ABOUT = """Runs Tern hosts in emulators.

  lab up a b --files build/guest     two hosts; the files appear under /boot/
  lab cmd a 'host info'              one console command; its output and success
  lab console a                      the console itself (leave it with Ctrl-\\)
  lab log a [-f]                     what the host has printed
  lab dump a VM FILE                 a VM as an ELF core, which gdb opens
  lab link a down|up|clear           its network cable
  lab link a delay MS|loss PCT|rate MBIT     (each direction by itself)
  lab freeze a; lab thaw a           a host that stops answering
  lab kill a                         power off at once; `lab up a` starts it again
  lab exec CMD...                    run CMD inside the lab's network
  lab up a b --client c              ... and a third machine beside them
  lab client c -- CMD...             run CMD on that third machine
  lab judge VM TOOL [ARG]...         stress-ng, memtester ... in a test guest: its verdict
  lab status; lab down

The lab's network is closed: a namespace that the lab makes, without any way
out.  Hosts are 10.77.0.1 (a), .2 (b) ...; this machine is 10.77.0.254 in it, the
first client .253, the next .252.
Root (or a user namespace) gives taps; without, a slower relay is used.
State is under $TERN_LAB_DIR (/tmp/tern-lab-UID); TERN_LAB=NAME names a second
lab; ACCEL=kvm uses nested virtualization where the machine has it."""


def cmd_up(lab, a):
    options = {k: getattr(a, k) for k in DEFAULTS}
    if not a.hosts and not a.clients:
        raise LabError("up: name a host, or a client with --client NAME")
    lab.up(a.hosts, clients=a.clients, mtu=a.mtu, max_time=a.max_time, timeout=a.timeout,
           wait=not a.no_wait, **options)
    for client in map(lab.client, a.clients):
        print(f"{client['name']}: client, {client['addr']}, {client['addr6']}")
    if not a.no_wait:
        for name in a.hosts:
            print(f"{name}: ready, {lab.addr(name)}")
        if lab.status()["net"] == "dgram":
            print("note: no taps here (they need root): the slower relay carries the network",
                  file=sys.stderr)


def cmd_cmd(lab, a):
    got = lab.cmd(a.host, " ".join(a.line), a.timeout)
    if got.text:
        print(got.text)
    return 1 if got.status else 0


def cmd_log(lab, a):
    text = lab.log(a.host)
    sys.stdout.write(text)
    if a.follow:
        with open(f"{lab.dir}/{a.host}/log", "rb") as f:
            f.seek(0, os.SEEK_END)
            while lab.running():
                data = f.read()
                if data:
                    sys.stdout.buffer.write(data)
                    sys.stdout.flush()
                else:
                    select.select([], [], [], 0.2)


LEAVE = b"\x1c"      # Ctrl-\


def cmd_console(lab, a):
    """Ctrl-\\ ends it: Ctrl-] is the host's, it leaves `vm console`.  Without a
    terminal: standard input to the host, its output here."""
    s = lab._open()
    s.sendall(b'{"op": "console", "host": "%s"}\n' % a.host.encode())
    answer = b""
    while not answer.endswith(b"\n"):
        piece = s.recv(1)
        if not piece:
            raise LabError("the lab went away")
        answer += piece
    if b'"ok": true' not in answer:
        raise LabError(re.sub(r'.*"error": "(.*)"}\s*', r"\1", answer.decode()))
    screen = sys.stdin.isatty()
    if screen:
        print(f"console of {a.host}; Ctrl-\\ leaves it")
        old = termios.tcgetattr(0)
        tty.setraw(0)
        s.sendall(b"\r")
    try:
        _pump(s, screen)
    finally:
        if screen:
            termios.tcsetattr(0, termios.TCSADRAIN, old)
            print()


def _pump(s, screen):
    inputs = [s, 0]
    while True:
        ready, _, _ = select.select(inputs, [], [])
        if s in ready:
            data = s.recv(65536)
            if not data:
                return
            os.write(1, data)
        if 0 in ready:
            data = os.read(0, 4096)
            if screen and LEAVE in data:
                return
            if not data:
                inputs.remove(0)
                s.shutdown(socket.SHUT_WR)
            else:
                s.sendall(data)


def cmd_dump(lab, a):
    said = lab.dump(a.host, a.vm, a.file)
    print(f"{a.file}: {said['bytes'] >> 20} MiB, {said['segments']} segments, "
          f"{said['threads']} thread(s)")


def cmd_link(lab, a):
    if a.rule in ("delay", "loss", "rate"):
        if a.value is None or a.value < 0:
            raise LabError(f"link {a.rule} needs a value: delay MS, loss PCT, rate MBIT")
    elif a.value is not None:
        raise LabError(f"link {a.rule} takes no value")
    lab.link(a.host, a.rule, a.value, a.nic)


def cmd_status(lab, _a):
    st = lab.status()
    print(f"lab {lab.dir}: network {st['net']}, mtu {st['mtu']}, "
          f"{st['seconds_left']} s left, hub pid {st['pid']}")
    for h in st["hosts"]:
        state = "ready" if h["ready"] and h["alive"] else \
            "booting" if h["alive"] else f"ended ({h['exit']})"
        rules = " ".join(f"net{k}:{r}={v}".rstrip("=") for k, d in h["links"].items()
                         for r, v in d.items())
        print(f"  {h['name']:8} {state:10} {h['addr']:14} smp {h['smp']} mem {h['mem']} MiB "
              f"pid {h['pid']} {rules}")
    for c in st["clients"]:
        print(f"  {c['name']:8} {'client':10} {c['addr']:14} {c['addr6']} pid {c['pid']}")


def cmd_judge(lab, a):
    if not a.argv or a.argv[0] not in judges.NAMES:
        raise LabError(f"judge VM TOOL: {', '.join(judges.NAMES)}")
    judge = judges.Judge(lab, a.vm, a.argv)
    status, _ = judge.wait(a.timeout, each=lambda line: print(line, flush=True))
    print(f"judge: {a.argv[0]} on {judge.host}: {'FAILED' if status else 'ok'} (status {status})")
    return 1 if status else 0


def cmd_exec(lab, a):
    argv = lab.exec_argv(a.argv)
    os.execvp(argv[0], argv)


def cmd_client(lab, a):
    argv = a.argv[1:] if a.argv[:1] == ["--"] else a.argv
    if not argv:
        raise LabError(f"client: say what to run: lab client {a.name} -- CMD...")
    argv = lab.client_argv(a.name, argv)
    os.execvp(argv[0], argv)


def parser():
    ap = argparse.ArgumentParser(prog="lab", description=ABOUT,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(required=True, metavar="COMMAND")

    def add(name, handler, text):
        p = sub.add_parser(name, help=text, description=text)
        p.set_defaults(handler=handler)
        return p

    p = add("up", cmd_up, "start hosts and wait until they are ready")
    p.add_argument("hosts", nargs="*", metavar="NAME")
    p.add_argument("--client", action="append", dest="clients", default=[], metavar="NAME",
                   help="a third machine in the hosts' network, for `lab client NAME -- CMD...`")
    p.add_argument("--cpu", default="svm", help="svm (AMD-V) or vmx (Intel VT-x)")
    p.add_argument("--cpu-model", metavar="MODEL",
                   help="QEMU's -cpu, like 'max,-avx2' (max, or $TERN_LAB_CPU); "
                        "Bochs' (corei7_skylake_x)")
    p.add_argument("--ips", type=int, metavar="N",
                   help="vmx: instructions a second, which are its TSC's frequency (40000000)")
    p.add_argument("--smp", type=int, help="CPUs of each host (svm 2, vmx 1)")
    p.add_argument("--mem", type=int, metavar="MIB", help="memory (svm 1024, vmx 512)")
    p.add_argument("--prealloc", action="store_true",
                   help="take all of its memory from this machine at once, not at first touch")
    p.add_argument("--reset", action="store_true",
                   help="a host that resets starts again; else it ends there")
    p.add_argument("--nics", type=int, default=1, help="network devices (1)")
    p.add_argument("--nic", help="their kind: virtio, e1000, e1000e (svm virtio, vmx e1000)")
    p.add_argument("--mtu", type=int, default=int(os.environ.get("TERN_LAB_MTU", "9000")))
    p.add_argument("--files", metavar="DIR", help="its files appear under /boot/")
    p.add_argument("--disk", action="append", dest="disks",
                   metavar="FILE[,ahci|ide|virtio][,shared]",
                   help="a raw disk: NVMe, or at AHCI or IDE (PIIX3), or virtio-blk")
    p.add_argument("--vga", action="store_true", help="a graphics card")
    p.add_argument("--conf", action="append", metavar="'KEY = VALUE'", help="a line of tern.conf")
    p.add_argument("--max-time", type=int, default=3600, metavar="S",
                   help="the lab ends itself after so long (3600)")
    p.add_argument("--timeout", type=int, default=180, metavar="S", help="for booting (180)")
    p.add_argument("--no-wait", action="store_true", help="do not wait for the prompt")
    p = add("cmd", cmd_cmd, "run one console command on a host")
    p.add_argument("host")
    p.add_argument("line", nargs="+")
    p.add_argument("--timeout", type=float, default=300)
    p = add("console", cmd_console, "a host's console (Ctrl-\\ leaves)")
    p.add_argument("host")
    p = add("log", cmd_log, "what a host has printed")
    p.add_argument("host")
    p.add_argument("-f", "--follow", action="store_true")
    p = add("dump", cmd_dump, "a VM's memory and registers as an ELF core")
    p.add_argument("host")
    p.add_argument("vm")
    p.add_argument("file")
    p = add("link", cmd_link, "a host's network cable")
    p.add_argument("host")
    p.add_argument("rule", choices=["down", "up", "delay", "loss", "rate", "clear"])
    p.add_argument("value", nargs="?", type=float)
    p.add_argument("--nic", type=int)
    for name, text in (("kill", "power a host off at once"), ("freeze", "stop a host's emulator"),
                       ("thaw", "let a frozen host go on")):
        p = add(name, lambda lab, a, n=name: getattr(lab, n)(a.host), text)
        p.add_argument("host")
    p = add("exec", cmd_exec, "run a program inside the lab's network")
    p.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD")
    p = add("client", cmd_client, "run a program on a third machine (lab up --client NAME)")
    p.add_argument("name")
    p.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD")
    p = add("judge", cmd_judge, "run a test program in a guest made by tools/guest --judges, "
            "before, during and after its migrations: " + ", ".join(judges.NAMES))
    p.add_argument("--timeout", type=float, default=3600, metavar="S")
    p.add_argument("vm", metavar="VM")
    p.add_argument("argv", nargs=argparse.REMAINDER, metavar="TOOL")
    add("status", cmd_status, "what is running")
    add("down", lambda lab, a: lab.down(), "end the lab and all its hosts")
    return ap


def main():
    args = parser().parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return args.handler(Lab(), args) or 0
    except LabError as e:
        print(f"lab: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
