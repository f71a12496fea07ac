#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""record.py FOLDER [SOCKET]: what the programs of cpu, memory and storage print here, or in the guest
whose agent answers on the socket, as FOLDER/PROGRAM-host.txt or -guest.txt. Names of hosts and users are
not kept."""
import base64
import json
import re
import socket
import subprocess
import sys
import time

SIZE = 16 << 20
FIO = ["fio", "--output-format=json", "--thread", "--direct=1", "--ioengine=libaio", "--iodepth=16",
       "--filename=/proc/self/fd/3", "--size=%d" % SIZE, "--lat_percentiles=1", "--clat_percentiles=0",
       "--group_reporting", "--name=fill", "--rw=write", "--bs=1M", "--end_fsync=1"]
for name, mode, block in (("read.seq", "read", "1M"), ("write.seq", "write", "1M"),
                          ("read.rand", "randread", "4k"), ("write.rand", "randwrite", "4k")):
    FIO += ["--name=" + name, "--stonewall", "--rw=" + mode, "--bs=" + block, "--runtime=1",
            "--time_based", "--numjobs=2"]
NAMELESS = ("exec 3<>/var/tmp/record; rm /var/tmp/record\n"
            "dd if=/dev/null of=/proc/self/fd/3 bs=1 seek=%d 2>/dev/null; exec \"$@\"" % SIZE)
COMMANDS = {
    "sysbench-cpu": ["sysbench", "cpu", "--cpu-max-prime=20000", "--threads=2", "--time=1",
                     "--events=0", "run"],
    "sysbench-memory": ["sysbench", "memory", "--memory-block-size=1048576",
                        "--memory-total-size=1000000T", "--memory-scope=local", "--memory-oper=write",
                        "--memory-access-mode=rnd", "--threads=2", "--time=1", "--events=0", "run"],
    "stress-ng-stream": ["stress-ng", "--stream", "1", "--stream-l3-size", "1024K", "-t", "6s",
                         "--metrics", "--yaml", "/proc/self/fd/1"],
    "fio": ["sh", "-c", NAMELESS, "record"] + FIO,
}
# In a network of its own, so that no server stays.
IPERF = "ip link set lo up; iperf3 -s -D; sleep 1; exec iperf3 --json -i 0 -t 1 -c 127.0.0.1 "
for name, arguments in (("tcp", "-P 4"), ("tcp-reverse", "-P 4 -R"), ("udp", "-u -l 1400 -b 20M"),
                        ("udp-reverse", "-u -l 1400 -b 20M -R"), ("error", "-p 5999")):
    COMMANDS["iperf3-" + name] = ["unshare", "--net", "--pid", "--fork", "sh", "-c", IPERF + arguments]


def run_here(argv):
    return subprocess.run(argv, check="iperf3" not in argv[-1], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


class Guest:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rwb")

    def ask(self, command, **arguments):
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self.stream.flush()
        return json.loads(self.stream.readline())["return"]

    def run(self, argv):
        words = ["-c", "export LC_ALL=C; exec 2>/dev/null >/tmp/record.out; exec \"$@\"", "record"] + argv
        self.wait(words)
        return base64.b64decode(self.wait(["-c", "cat /tmp/record.out"])["out-data"])

    def wait(self, words):
        process = self.ask("guest-exec", path="/bin/sh", arg=words, **{"capture-output": True})["pid"]
        while not (status := self.ask("guest-exec-status", pid=process))["exited"]:
            time.sleep(0.1)
        return status


def main():
    folder, guest = sys.argv[1], Guest(sys.argv[2]) if len(sys.argv) > 2 else None
    for name, argv in COMMANDS.items():
        output = guest.run(argv) if guest else run_here(["env", "LC_ALL=C"] + argv)
        output = re.sub(rb"(hostname|nodename|run-by): .*", rb"\1: recorded", output)
        output = re.sub(rb'("system_info|"cookie)(":\s*").*"', rb'\1\2recorded"', output)
        with open("%s/%s-%s.txt" % (folder, name, "guest" if guest else "host"), "wb") as out:
            out.write(output)


if __name__ == "__main__":
    main()
