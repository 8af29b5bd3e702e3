# SPDX-License-Identifier: BSD-2-Clause
"""What tools/lab, tools/demo, tools/bench and the lab tests share.

paths     where things are            image     the hosts' boot volumes
emulator  how a host is run           net       namespace, bridge, taps, relay
hub       the process that holds it   client    what callers use: class Lab
"""
