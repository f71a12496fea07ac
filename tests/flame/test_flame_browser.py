# SPDX-License-Identifier: MIT
"""Flame graphs in a browser: test_flame_browser.py NOVACORE. Chromium opens them, by day and by night, zooms,
searches, sorts and goes back as harness.html says, and nothing may load, complain or become markup. A recording of
a million samples and a recursion of 2,000 frames too; what they took is printed. And pictures that are not blank."""
import functools
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zlib

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "report"))
sys.dont_write_bytecode = True
from test_browser import FLAGS, chromium, fail, not_blank, requested  # noqa: E402

SMALL = {"main;work;memcpy_[k]": 60, "main;work": 10, "main;idle;poll_[k]": 25,
         'main;idle;<b id="injected">': 5}
BEFORE = {"main;hot": 5000, "main;cold": 4000, "main;gone": 1000}
AFTER = {"main;hot": 7000, "main;cold": 2400, "main;fresh": 600}
DEADLINE_S = 240


def write(path, stacks):
    path.write_text("".join(f"{stack} {count}\n" for stack, count in stacks.items()))
    return path


def million(path):
    """A million samples on some hundred thousand stacks."""
    draw, counts = random.Random(7), {}
    words = ["read", "parse", "hash", "poll", "sort", "copy", "lock", "send"]
    names = [f"{draw.choice(words)}_{draw.choice(words)}_{i}" for i in range(2000)]
    for _ in range(150_000):
        at, stack = 0, ["main"]
        for depth in range(4 + int(draw.expovariate(1 / 12))):
            at = (at * 31 + min(int(draw.expovariate(1.2)), 5) + depth + 1) % 1_000_003
            stack.append(names[at % 2000])
        stack = ";".join(stack)
        counts[stack] = counts.get(stack, 0) + 1
    left = 1_000_000 - 150_000
    for stack in list(counts):
        more = min(left, int(draw.paretovariate(1.1)))
        counts[stack] += more
        left -= more
    counts["main"] = left
    return write(path, counts)


def recursion(path):
    frames = ["recurse"] * 2000
    return write(path, {";".join(frames[:depth]): 5 for depth in range(1, 2001, 7)} | {";".join(frames): 50})


def timed(path):
    """Two seconds of samples, as perf script prints them."""
    lines = []
    for i in range(200):
        lines += [f"w 1/1 [000] {i}.000000:   10000000 cpu-clock:pppH: ", f"\t 5000 {'hot' if i % 10 < 6 else 'cold'}+0x1 (/x)", ""]
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(picture):
    """Of a PNG of Chromium's: lines of (red, green, blue). RFC 2083: chunks, then filters of lines."""
    data, at, stream = picture.read_bytes(), 8, b""
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            wide, each = int.from_bytes(body[:4], "big"), {2: 3, 6: 4}[body[9]]
        stream += body if kind == b"IDAT" else b""
        at += 12 + length
    pixels, before, step = zlib.decompress(stream), bytes(wide * each), wide * each + 1
    for start in range(0, len(pixels), step):
        how, line = pixels[start], bytearray(pixels[start + 1:start + step])
        if how == 2:
            line = bytearray((a + b) & 255 for a, b in zip(line, before))
        elif how:
            for i in range(len(line)):
                left, up, corner = (line[i - each] if i >= each else 0), before[i], (before[i - each] if i >= each else 0)
                if how == 1:
                    line[i] = line[i] + left & 255
                elif how == 3:
                    line[i] = line[i] + (left + up) // 2 & 255
                else:
                    guess = left + up - corner
                    line[i] = line[i] + min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2] & 255
        before = line
        yield [tuple(line[i:i + 3]) for i in range(0, len(line), each)]


def looked_at(picture, dark):
    """The paper is dark or light, boxes of several colours fill some of it, and there is writing on them."""
    counts, written = {}, 0
    for row in rows(picture):
        before = (0, 0, 0)
        for pixel in row:
            counts[pixel] = counts.get(pixel, 0) + 1
            written += max(pixel) < 140 and max(before) > 180 and max(before) - min(before) > 40
            before = pixel
    every = sum(counts.values())
    paper, most = max(counts.items(), key=lambda pair: pair[1])
    boxes = [colour for colour, count in counts.items() if count > every / 1000 and max(colour) - min(colour) > 40]
    if most < every / 5 or (max(paper) < 64) != dark or (min(paper) > 230) == dark:
        fail(f"{picture}: most of it is {paper}, dark: {dark}")
    if len(boxes) < 2:
        fail(f"{picture}: these are no boxes of a flame graph: {boxes}")
    if written < 20:
        fail(f"{picture}: nothing is written on the boxes ({written})")


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        self.server.seen = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def log_message(self, *_):
        pass


def serve(directory):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=directory))
    server.done, server.seen = threading.Event(), None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def look(scratch, server, dark):
    """What the harness saw, in real time: only so "how long" means something."""
    server.done.clear()
    log, said = scratch / "net.json", scratch / "said"
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as data, open(said, "w") as errors:
        flags = [flag for flag in FLAGS if not flag.startswith(("--host-resolver", "--allow-file"))]
        browser = subprocess.Popen(
            ["chromium", *flags, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={data}",
             f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--remote-debugging-port=0",
             "--window-size=1400,1000", f"--log-net-log={log}", f"http://127.0.0.1:{server.server_port}/harness.html"],
            stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True, env={**os.environ, "HOME": data})
        ended = server.done.wait(DEADLINE_S)
        browser.terminate()
        try:
            browser.wait(20)
        except subprocess.TimeoutExpired:
            pass
        try:  # what it started writes on
            os.killpg(browser.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        browser.wait()
    console = [line for line in said.read_text(errors="replace").splitlines() if ":CONSOLE" in line]
    if console:
        fail("on the console:\n" + "\n".join(console[:5]))
    if not ended:
        fail("the harness did not end:\n" + "\n".join(said.read_text(errors="replace").splitlines()[-10:]))
    other = [url for url in requested(log) if not url.startswith(f"http://127.0.0.1:{server.server_port}/")]
    if other:
        fail(f"requested: {other}")
    return server.seen


def main():
    novacore = os.path.abspath(sys.argv[1])
    if not shutil.which("chromium"):
        print("chromium is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="nct-", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        scratch = pathlib.Path(scratch)
        os.environ["NOVACORE_HOME"] = str(scratch / "home")

        def flame(output, *arguments):
            subprocess.run([novacore, "flame", *arguments, "--quiet", "--output", scratch / output], check=True)

        small, before, after = (write(scratch / name, stacks) for name, stacks in
                                (("small", SMALL), ("before", BEFORE), ("after", AFTER)))
        flame("small.html", small)
        flame("small.svg", small)
        flame("change.html", "--diff", before, after)
        flame("change.svg", "--diff", before, after)
        flame("million.html", million(scratch / "million"), "--min-width", "0")
        flame("million.svg", scratch / "million")
        flame("deep.html", recursion(scratch / "deep"))
        flame("deep.svg", scratch / "deep")
        flame("timed.html", timed(scratch / "timed"), "--value", "cpu")
        pages = [["small.html", "small", 1280], ["small.html", "small", 390], ["small.html#s=memcpy", "linked", 1280],
                 ["small.svg", "picture", 1280], ["change.html", "difference", 1280],
                 ["timed.html", "timed", 1280], ["million.html", "huge", 1280], ["million.svg", "hugePicture", 1280],
                 ["deep.html", "deep", 1280], ["deep.svg", "deepPicture", 1280]]
        (scratch / "harness.html").write_text((HERE / "harness.html").read_text().replace("PAGES", json.dumps(pages), 1))
        server = serve(str(scratch))
        for dark in (False, True):
            seen = look(scratch, server, dark)
            if len(seen) != len(pages) or any(one["dark"] != dark for one in seen):
                fail(f"not all was looked at, dark={dark}: {seen}")
            for one in seen:
                if one["wrong"]:
                    fail(f'{one["page"]}, {one["width"]} wide, dark: {dark}:\n  ' + "\n  ".join(one["wrong"]))
            times = {one["how"]: one for one in seen}
            print(f"-- {'by night' if dark else 'by day'}: {len(seen)} pages, nothing wrong; a million samples "
                  f"({(scratch / 'million.html').stat().st_size:,} bytes) open in {times['huge']['opened']} ms, four zooms "
                  f"and a search take {times['huge']['times']} ms; as a picture of {times['hugePicture']['boxes']} boxes in "
                  f"{times['hugePicture']['opened']} ms, a zoom and a search {times['hugePicture']['times']} ms; "
                  f"2,000 frames open in {times['deep']['opened']} ms, as a picture in {times['deepPicture']['opened']} ms")
        server.shutdown()
        for dark in (False, True):
            for page in ("small.svg", "small.html", "change.svg", "change.html"):
                picture = scratch / f"{page}.{'night' if dark else 'day'}.png"
                chromium(scratch, "--window-size=1280,1000", f"--screenshot={picture}", (scratch / page).as_uri(), dark=dark)
                not_blank(picture)
                looked_at(picture, dark)
                if len(sys.argv) > 2:
                    shutil.copy(picture, sys.argv[2])
        print("-- pictures of four by day and by night: paper, boxes of several colours, writing")


if __name__ == "__main__":
    main()
