#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pages of section 3 against the headers: each macro, struct, member, function and prototype of the
plugin ABI stands in a page, no document names one that does not exist, the examples compile, and links
lead somewhere.
test_contract.py SOURCE CC"""
import pathlib
import re
import subprocess
import sys

LABELS = ["Called", "Thread", "Returns", "Deadline", "If it fails", "Since"]
OPS = ["nova_hypervisor", "nova_benchmark", "nova_optimizer", "nova_profile", "nova_plugin"]


def squeeze(text):
    """A prototype without what line breaks do to it."""
    return re.sub(r"\s*([(),*])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()


class Headers:
    def __init__(self, folder):
        text = "".join(p.read_text() for p in sorted(folder.glob("*.h")))
        bare = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", " ", text, flags=re.S))
        self.texts = dict(re.findall(r'#define (NOVA_CAN_\w+)\s+"([^"]+)"', bare))
        self.macros = set(re.findall(r"^#define (NOVA_[A-Z]\w*)\b", bare, flags=re.M))
        self.macros = {m for m in self.macros if not re.fullmatch(r"NOVACORE_\w+_H", m)}
        self.values = {m for m in self.macros if re.search(rf"#define {m}\s+(\\\s*)?[(\"\d]", bare)}
        self.types = set(re.findall(r"\btypedef uint64_t ([^;]+);", bare))
        self.types = {t.strip() for group in self.types for t in group.split(",")}
        self.structs = {}
        for name, body in re.findall(r"^struct (nova_\w+) \{(.*?)^\};", bare, flags=re.S | re.M):
            self.structs[name] = re.findall(r"[^;]+;", body)
        self.words = self.macros | self.types | set(self.structs)
        self.words |= set(re.findall(r"\b(nova_\w+|NOVA_\w+)", bare))

    def functions(self, struct):
        """(name, squeezed prototype) of each function pointer of a struct."""
        for member in self.structs[struct]:
            found = re.match(r"[\w\s*]*\(\*(\w+)\)\(", squeeze(member))
            if found:
                yield found.group(1), squeeze(member)

    def members(self, struct):
        for member in self.structs[struct]:
            if "(" not in member:
                for part in member.rstrip(";").split(","):
                    yield re.findall(r"\w+", re.sub(r"\[.*", "", part))[-1]


def sections(page):
    """Title → text of the ### sections of a page."""
    found = re.split(r"^### (\S+)$", page, flags=re.M)
    return {found[i]: found[i + 1].split("\n## ")[0] for i in range(1, len(found), 2)}


def problems_of(headers, pages):
    """What is wrong in the pages {name: text}, as sentences."""
    everything = "\n".join(pages.values())
    for word in sorted(headers.macros | headers.types - {"nova_run", "nova_vm", "nova_op"}):
        if not re.search(rf"\b{word}\b", everything):
            yield f"no page names {word}"
    for name, text in headers.texts.items():
        if f"| `{name}` | `{text}` |" not in everything:
            yield f'no page says that {name} is "{text}"'
    for struct in headers.structs:
        home = [n for n, text in pages.items() if re.search(rf"[Ss]truct `{struct}`", text)]
        if not home:
            yield f"no page explains struct {struct}"
            continue
        for member in headers.members(struct):
            if struct != "nova_note" and not any(f"`{member}`" in pages[n] for n in home):
                yield f"{', '.join(home)} does not explain {struct}.{member}"
        for name, prototype in headers.functions(struct):
            texts = [t for n in home for title, t in sections(pages[n]).items() if title == name]
            if not texts:
                yield f"no page has a section on {struct}.{name}"
            elif not any(squeeze(prototype) in squeeze(t) for t in texts):
                yield f"the prototype of {struct}.{name} is another one: {prototype}"
            elif struct in OPS:
                for label in LABELS:
                    if not any(f"\n`{label}`\n:" in t for t in texts):
                        yield f'{struct}.{name} does not say "{label}"'


def unknown_words(headers, path, text):
    for word in sorted(set(re.findall(r"\b(NOVA_[A-Z][A-Z0-9_]*\w|nova_[a-z]\w*\w)\b(?!…|\*|\.)", text))):
        if word not in headers.words and not any(w.startswith(word + "_") for w in headers.words):
            yield f"{path} names {word}, which no header has"


def examples_of(page):
    """The whole C files in a page."""
    return [c for c in re.findall(r"^```c\n(.*?)^```$", page, flags=re.S | re.M) if "#include" in c]


def compile_problem(compiler, sdk, text):
    result = subprocess.run(
        [compiler, "-std=c17", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only",
         f"-I{sdk}/include", f"-I{sdk}/testhost/include", "-x", "c", "-"],
        input=text, text=True, capture_output=True)
    return result.stderr if result.returncode else None


def broken_links(source, path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            yield f"{path.relative_to(source)} has a link to {target}, which is not there"


def main():
    source = pathlib.Path(sys.argv[1])
    headers = Headers(source / "sdk/include/novacore")
    assert len(headers.macros) > 150 and len(headers.structs) > 15, "the headers were not understood"
    pages = {p.stem: p.read_text() for p in sorted((source / "docs/man3").glob("*.md"))}
    problems = list(problems_of(headers, pages))

    def gaps_of(page, text):
        return [*problems_of(headers, dict(pages, **{page: text})), *unknown_words(headers, page, text)]

    # names of the other headers of the SDK may be told, too, and those of the core in its own papers
    for header in source.glob("sdk/*/include/novacore/**/*.h"):
        headers.words |= set(re.findall(r"\b(nova_\w+|NOVA_\w+)", header.read_text()))
    papers = [source / "ABI.md", source / "README.md"]
    papers += sorted(source.glob("docs/**/*.md")) + sorted(source.glob("plugins/*/*/*.md"))
    papers += sorted(source.glob("sdk/**/*.md"))
    for path in papers + [source / name for name in ("SECURITY.md", "HACKING.md", "CHANGELOG.md")]:
        problems += broken_links(source, path)
    for path in papers:
        problems += unknown_words(headers, path.relative_to(source), path.read_text())

    testhost = (source / "sdk/testhost/include/novacore/testhost.h").read_text()
    for function in sorted(set(re.findall(r"\b(nova_testhost_\w+|NOVA_TESTHOST_\w+)\(", testhost))):
        if f"`{function}" not in pages["novacore-testhost"]:
            problems.append(f"novacore-testhost(3) does not name {function}")

    examples = [(name, c) for name, page in pages.items() for c in examples_of(page)]
    for name, example in examples:
        why = compile_problem(sys.argv[2], source / "sdk", example)
        problems += [f"the example of {name} does not compile: {why}"] if why else []
    if not examples:
        problems.append("no page has an example")

    # a gap is seen
    for page, old, new in [
        ("novacore-hypervisor", "### vm_query", "### vm_ask"),
        ("novacore-hypervisor", "int64_t pid);", "int32_t pid);"),
        ("novacore-plugin", "`NOVA_FIELD_URI`", "`NOVA_FIELD_URL`"),
        ("novacore-plugin", "`fallback`", "`default`"),
        ("novacore-benchmark", "`Deadline`\n: As `create`.", ""),
        ("novacore-hypervisor", "| `beat` |", "| `heart` |"),
    ]:
        assert old in pages[page], f"{page} has no {old}"
        wrong = gaps_of(page, pages[page].replace(old, new))
        if len(wrong) <= len(gaps_of(page, pages[page])):
            problems.append(f"{old!r} replaced by {new!r} in {page} is not seen")

    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    print(f"{len(headers.macros)} macros, {len(headers.structs)} structs, {len(pages)} pages, {len(examples)} examples")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
