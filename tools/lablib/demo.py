# SPDX-License-Identifier: BSD-2-Clause
"""The demonstration (tools/demo): one guest, two hosts, one migration, checked."""
import argparse
import sys
import time

from .client import Lab
from .guest import Guest
from .paths import GUEST, LabError

START = time.monotonic()
# The guest, as the emulator can bear it: memory, MiB of working set, MiB/s written; the stun
# budget in ms (Bochs' network takes 1.4 MB/s).
LOADS = {"svm": ("256M", 64, 20, 300), "vmx": ("80M", 2, 1, 3000)}
HOSTS = {"svm": "QEMU, AMD-V by translation", "vmx": "Bochs, VT-x; this takes some minutes"}


def tell(text):
    print(f"[{time.monotonic() - START:7.2f}] {text}", flush=True)


def show_progress(st):
    rate = st.get("rate_bytes_s", 0) / 1e6
    tell(f"  {st['percent']:3d} %  {st['phase']:10}  round {st['rounds']}  "
         f"{st.get('bytes_sent', 0) / 2**20:7.1f} MiB sent  {rate:6.1f} MB/s")


def show_beats(guest):
    for beat in guest.beats[-3:]:
        tell(f"  guest on {guest.host}: heartbeat {beat.seq}, clock {beat.t_us / 1e6:.2f} s, "
             f"{beat.pages} pages written, {beat.passes} checks of all pages, "
             f"{beat.errors} wrong")


def measure(guest, st, before):
    """The figures of the last line; BEFORE is the heartbeat count at the start."""
    after = guest.beats[before:]
    passes = guest.beats[-1].passes - guest.beats[before].passes
    return dict(total_ms=round(st["total_ns"] / 1e6),
                blackout_ms=round(st["blackout"]["total_ns"] / 1e6),
                sent_mib=round(st["bytes_sent"] / 2**20, 1), rounds=st["rounds"],
                guest_gap_ms=round(max(b.gap_us for b in after) / 1000),
                pages_verified=passes * guest.ws * 256)


def run(lab, args):
    tell(f"two hosts, a and b, in an emulator ({HOSTS[args.cpu]})")
    lab.up(["a", "b"], cpu=args.cpu, files=GUEST, smp=args.smp, mem=args.host_mem,
           max_time=args.max_time)
    for name in ("a", "b"):
        info = lab.ask(name, "host info")
        tell(f"  {name}: {info['virtualization']}, {info['cpus']} CPUs, "
             f"own memory {info['own_bytes'] >> 20} MiB, ready after {info['ready_ms']} ms")
    guest = Guest(lab, "demo")
    tell(f"a stock Debian kernel as guest 'demo' on a, {args.mem}, writing "
         f"{args.rate} MiB/s over {args.ws} MiB and checking it")
    guest.create("a", mem=args.mem, ws=args.ws, rate=args.rate, check=4)
    guest.start()
    guest.wait_ready(180)
    guest.wait_beats(20)
    show_beats(guest)
    tell(f"migrate demo {lab.addr('b')} --budget {args.budget}")
    before = len(guest.beats) - 1
    st = guest.migrate("b", "--budget", str(args.budget), timeout=180, each=show_progress)
    guest.wait_beats(20)
    show_beats(guest)
    tell("waiting until the guest has checked every page on b, twice")
    guest.wait_passes(3, 180)
    guest.verify()
    guest.verify_log()
    if guest.exists("a"):
        raise LabError("host a still has the VM")
    return measure(guest, st, before)


def main():
    ap = argparse.ArgumentParser(prog="demo", description=__doc__)
    ap.add_argument("--cpu", choices=sorted(LOADS), default="svm",
                    help="the hosts' virtualization: svm (AMD-V) or vmx (VT-x)")
    ap.add_argument("--smp", type=int, help="CPUs of each host (svm 2, vmx 1)")
    ap.add_argument("--host-mem", type=int, metavar="MIB", help="(svm 1024, vmx 512)")
    ap.add_argument("--mem", help="the guest's memory (256M, vmx 80M)")
    ap.add_argument("--ws", type=int, help="its working set, MiB (64, vmx 2)")
    ap.add_argument("--rate", type=int, help="what it writes, MiB/s (20, vmx 1)")
    ap.add_argument("--budget", type=int, metavar="MS", help="for the stun (300, vmx 3000)")
    ap.add_argument("--max-time", type=int, default=1800, metavar="S")
    ap.add_argument("--keep", action="store_true", help="leave the lab up (TERN_LAB=demo)")
    args = ap.parse_args()
    for name, value in zip(("mem", "ws", "rate", "budget"), LOADS[args.cpu]):
        setattr(args, name, getattr(args, name) or value)
    lab = Lab("demo")
    lab.remove()
    try:
        figures = run(lab, args)
    except (LabError, KeyError, ValueError, OSError) as e:
        print(f"demo: failed: {e if isinstance(e, LabError) else repr(e)}", file=sys.stderr)
        print(f"demo: logs are in {lab.dir}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if not args.keep:
            lab.down()
    print("demo: ok " + " ".join(f"{k}={v}" for k, v in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
