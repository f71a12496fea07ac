# SPDX-License-Identifier: MIT
"""Reports as a browser shows them: test_browser.py NOVACORE BASE SCHEMA. Chromium opens each in two widths,
by day and by night, and must find nothing that overflows, cannot be read, has no name, loads or runs; what
the page says is compared with the document. Also on paper, and as a picture that is not blank."""
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zlib

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--allow-file-access-from-files", "--enable-logging=stderr", "--log-level=0",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-dev-shm-usage"]
HERE = pathlib.Path(__file__).parent
LIMIT = 2_000_000  # bytes of a report of 800 VMs with 12 metrics


def fail(text):
    sys.exit(f"FAILED: {text}")


def chromium(scratch, *arguments, dark=False):
    """What it wrote to stdout; fails on anything that a page said on its console."""
    with tempfile.TemporaryDirectory(dir=scratch) as data:
        command = ["chromium", *FLAGS, f"--user-data-dir={data}",
                   f"--blink-settings=preferredColorScheme={0 if dark else 1}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                              env={**os.environ, "HOME": data})
    said = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    if done.returncode or said:
        fail(f"chromium {arguments}: status {done.returncode}\n" + "\n".join(said[:5] or done.stderr.splitlines()[-10:]))
    return done.stdout


def render(novacore, document, page, form="html"):
    done = subprocess.run([novacore, "report", document, "--format", form, "--output", page], text=True,
                          capture_output=True)
    if done.returncode:
        fail(f"{document}: {done.stderr}")


def requested(log):
    """The URLs of a --log-net-log, without those that Chromium asks for by itself (none is answered)."""
    text = log.read_text(encoding="utf-8", errors="replace")
    urls = set(re.findall(r'"url":"((?:https?|ftp|wss?)://[^"]*)"', text))
    own = re.compile(r"https?://([a-z0-9-]+\.)*(google|googleapis|gvt1|gstatic)\.com/")
    return sorted(url for url in urls if not own.match(url))


def compare(document, seen):
    """What the page shows of the document's numbers, to the last digit."""
    shown = [float(x) for x in seen["data"]]
    metrics = [m for s in document["steps"] if s["state"] != "skipped" for m in s["metrics"]]
    for metric in metrics:
        wanted = [metric["value"], *(metric["interval"] or [metric["min"], metric["max"]]), metric["p95"]["value"],
                  metric["p99"]["value"], *(metric["goal"] or {}).values()]
        for number in wanted:
            if number is not None and number not in shown:
                fail(f'{seen["page"]}: {metric["name"]}: {number} is not on the page')
    words = ["no goal" if m["verdict"] == "none" else m["verdict"] for m in metrics]
    if seen["verdicts"] != words:
        fail(f'{seen["page"]}: verdicts {seen["verdicts"]}, not {words}')
    for step in document["steps"]:
        for one in step.get("comparisons", []):
            for number in [one["value"], *(one["interval"] or [])]:
                if number not in shown:
                    fail(f'{seen["page"]}: {one["name"]}: {number} is not on the page')


EXPECTED = {  # besides what all have
    "density": ["H4 Distributions", "H4 VM by VM", "H4 Over time", "H4 What failed, and why"],
    "migration": ["H4 Migrations", "H4 Distributions", "H4 What failed, and why"],
    "native": ["H4 Comparisons", "H4 Distributions"],
    "failed": ["H4 What failed, and why", "H2 Left out, and why"],
    "empty": [],
    "hostile": ["H2 Notes", "H2 Proposals"],
    "lifecycle": ["H4 Distributions", "H4 VM by VM"],
}
SENTENCES = {
    "density": ["Control-plane test.", "Emulated (TCG).", "792 became ready, 8 failed or timed out"],
    "migration": ["24 migrations, a line each; 1 failed"],
    "native": ["vm (solid)", "native (dashed)"],
    "failed": ["missed the goal", "the worker died of signal 11",
               "lower density.count"],
    "empty": ["Nothing was measured.", "The run has no step.", "interrupted"],
    "hostile": ["<script>alert(1)</script>"],
    "lifecycle": ["Simulated."],
}


def judge(documents, seen):
    for one in seen:
        name = pathlib.Path(one["page"]).stem
        if one["wrong"]:
            fail(f'{name}, {one["width"]} wide, dark: {one.get("dark")}:\n  ' + "\n  ".join(one["wrong"]))
        for heading in ["H2 Summary", "H2 Where and what", "H2 Do it again", *EXPECTED[name]]:
            if heading not in one["headings"]:
                fail(f'{name}: no heading "{heading}" among {one["headings"]}')
        for sentence in SENTENCES[name]:
            if sentence not in one["text"]:
                fail(f'{name}: nowhere "{sentence}"')
        if one["injected"] or "reboot" in one["text"].split("Do it again")[-1]:
            fail(f"{name}: the document became markup, or part of a command")
        compare(documents[name], one)


def well_formed(page):
    """The page is XML, too: whatever the document says, it opens and closes nothing."""
    text = page.read_text(encoding="utf-8")
    ElementTree.fromstring(text.split("\n", 1)[1])
    if re.search(r"(src|href)=\"(?!#)", text):
        fail(f"{page}: loads something")


def not_blank(picture):
    """More than a few different rows of pixels (PNG: the inflated stream)."""
    data, at, stream = picture.read_bytes(), 8, b""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        fail(f"{picture} is no PNG")
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] == b"IDAT":
            stream += data[at + 8:at + 8 + length]
        at += 12 + length
    pixels = zlib.decompress(stream)
    if len({pixels[i:i + 64] for i in range(0, len(pixels), 64)}) < 50:
        fail(f"{picture} is blank")


def main():
    novacore, base, schema = (os.path.abspath(path) for path in sys.argv[1:])
    if not shutil.which("chromium"):
        print("chromium is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="nct-", dir="/tmp") as scratch:
        scratch = pathlib.Path(scratch)
        os.environ["NOVACORE_HOME"] = str(scratch / "home")
        subprocess.run([sys.executable, HERE / "fixtures.py", base, schema, scratch], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run([novacore, "--profile", "dev", "--plugin", "sim", "--set", "hypervisor.sim.clock=virtual",
                        "--seed", "7", "--quiet", "--format", "json", "--output", scratch / "lifecycle.json"], check=True)
        documents, pages = {}, []
        for path in sorted(scratch.glob("*.json")):
            documents[path.stem] = json.loads(path.read_text())
            page = path.with_suffix(".html")
            render(novacore, path, page)
            render(novacore, path, path.with_suffix(".md"), "markdown")
            well_formed(page)
            if page.stat().st_size > LIMIT:
                fail(f"{page} has {page.stat().st_size} bytes")
            pages.append(page)
        print(f"-- {len(pages)} reports, of at most {max(p.stat().st_size for p in pages)} bytes")
        harness = scratch / "harness.html"
        harness.write_text((HERE / "harness.html").read_text().replace(
            "PAGES", json.dumps([page.as_uri() for page in pages]), 1))
        for dark in (False, True):
            log = scratch / "net.json"
            dom = chromium(scratch, "--window-size=1400,1000", "--virtual-time-budget=60000", f"--log-net-log={log}",
                           "--dump-dom", harness.as_uri(), dark=dark)
            out = re.search(r'<pre id="out">(.*?)</pre>', dom, re.S)
            try:
                seen = json.loads(html.unescape(out.group(1)))
            except (AttributeError, json.JSONDecodeError):
                fail("the harness did not end: " + (out.group(1)[:200] if out else dom[:200]))
            if len(seen) != 2 * len(pages) or any(one.get("dark") != dark for one in seen):
                fail(f"not all was looked at in the scheme dark={dark}: {[(o['page'], o.get('dark')) for o in seen]}")
            judge(documents, seen)
            if requested(log):
                fail(f"requested: {requested(log)}")
            print(f"-- {'by night' if dark else 'by day'}: {len(seen)} views, "
                  f"{sum(one['figures'] for one in seen)} figures, nothing wrong")
        picture, paper = scratch / "density.png", scratch / "density.pdf"
        chromium(scratch, "--window-size=1280,2000", f"--screenshot={picture}", (scratch / "density.html").as_uri())
        not_blank(picture)
        chromium(scratch, "--no-pdf-header-footer", f"--print-to-pdf={paper}", (scratch / "density.html").as_uri())
        if paper.read_bytes()[:5] != b"%PDF-" or paper.stat().st_size < 20_000:
            fail("no PDF came out")
        print("-- a picture and a PDF of a burst of 800 VMs")


if __name__ == "__main__":
    main()
