"""What each dependency costs: megabytes on the disk, and seconds until it is imported.

    python -m benchmarks.dependencies [--extras torch,cuda,youtube,demo]

Run in an environment that has gemmalocal installed, from a clone. "alone" are the megabytes that would go with it: its
own, and those of packages that nothing else here brings. Seconds are the least of three fresh interpreters.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
TURNS = 3
IMPORTED = {  # where the module is not the package's name
    "textual": "textual.app", "ruamel-yaml": "ruamel.yaml", "python-docx": "docx", "python-pptx": "pptx",
    "lxml": "lxml.etree", "striprtf": "striprtf.striprtf", "pylatexenc": "pylatexenc.latex2text",
}  # fmt: skip


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(requirements: Iterable[str], extras: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """The packages that are meant on this machine, each with its extras."""
    meant: dict[str, tuple[str, ...]] = {}
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            meant[canonical(requirement.name)] = tuple(requirement.extras)
    return meant


def megabytes(name: str) -> float:
    """Of all files of an installed package."""
    files = metadata.distribution(name).files or []
    paths = (Path(str(file.locate())) for file in files)
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def brought(name: str, extras: Sequence[str] = ()) -> set[str]:
    """A package and all that it brings, as installed here."""
    known: set[tuple[str, tuple[str, ...]]] = set()
    ahead = [(name, tuple(extras))]
    while ahead:
        package, its = ahead.pop()
        if (package, its) in known:
            continue
        try:
            requirements = metadata.requires(package) or []
        except metadata.PackageNotFoundError:
            continue
        known.add((package, its))
        ahead += wanted(requirements, its).items()
    return {package for package, _ in known}


def seconds(module: str) -> float | None:
    """Until a module is imported by an interpreter that holds nothing yet; None if it cannot be."""
    times = []
    for _ in range(TURNS):
        done = subprocess.run(
            [sys.executable, "-c", f"import time\nbegun = time.perf_counter()\nimport {module}\n"
             "print(time.perf_counter() - begun)"],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            return None
        times.append(float(done.stdout.split()[-1]))
    return min(times)


def table(packages: dict[str, tuple[str, ...]], others: set[str]) -> None:
    """A line for each package; what `others` bring already costs nothing more."""
    all_of = {name: brought(name, extras) for name, extras in packages.items()}
    for name, mine in all_of.items():
        if not mine:
            print(f"{name:24} not installed")
            continue
        rest = others.union(*(bring for other, bring in all_of.items() if other != name))
        took = seconds(IMPORTED.get(name, name.replace("-", "_")))
        shown = "-" if took is None else f"{took:.2f}"
        alone = sum(map(megabytes, mine - rest))
        print(f"{name:24} {metadata.version(name):12} {megabytes(name):7.1f} {alone:7.1f} {shown:>6}", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--extras", default="torch,cuda,youtube,demo")
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    always = wanted(project["dependencies"])
    base = set[str]().union(*(brought(name, extras) for name, extras in always.items()))
    print(f"{'package':24} {'version':12} {'MB':>7} {'alone':>7} {'s':>6}")
    table(always, set())
    print(f"{len(base)} packages, {sum(map(megabytes, base)):.0f} MB")
    for extra in filter(None, parser.parse_args().extras.split(",")):
        print(f"\n{extra}")
        packages = wanted(project["optional-dependencies"][extra])
        packages.pop("gemmalocal", None)  # the extra of ours that it goes on from
        table(packages, base)
        more = set[str]().union(*(brought(name, extras) for name, extras in packages.items())) - base
        print(f"{len(more)} packages more, {sum(map(megabytes, more)):.0f} MB")


if __name__ == "__main__":
    main()
