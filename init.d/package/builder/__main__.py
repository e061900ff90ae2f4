# ruff: noqa: INP001 - run from its own folder
"""Builds the package: dist/dmsfw_VERSION_all.ipk, one file for every architecture and for Python 3.10 to 3.13.

1. Python's modules that dmsfw needs are downloaded as requirements.txt pins them, hashes checked, and put beside it as
   sources; what dmsfw does not use of them is left out.
2. libxtwrapper, python-iptables's one piece of C, is built for each processor by Zig's C compiler, pinned likewise.
3. The same sources give the same bytes: no time, no owner, no path and no order of the machine's gets in.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import archive
import layout
import shims
import vendor


def main() -> None:
    """Build it and say where it is and how large."""
    arguments = _arguments()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.cache, prefix="build-") as folder:
        root = arguments.root or Path(folder) / "root"
        sources = vendor.sources(arguments.cache, Path(folder) / "sources")
        layout.install_own(root)
        vendor.install(sources, root / layout.PYTHON, root / layout.LICENCES)
        shims.build(sources, arguments.cache, root / layout.SHIMS)
        layout.finish(root)
        if arguments.root is None:
            _pack(root, arguments.output)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Builds the package for OpenWrt.")
    parser.add_argument("--output", type=Path, default=layout.ROOT / "dist", metavar="DIR", help="%(default)s")
    parser.add_argument("--cache", type=Path, default=layout.ROOT / ".cache/package", metavar="DIR", help="%(default)s")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="lay the files out in DIR, and make no package of them"
    )
    return parser.parse_args()


def _pack(root: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"dmsfw_{layout.version()}_all.ipk"
    package = archive.ipk(root, layout.control(archive.size(root)), layout.LAST)
    target.write_bytes(package)
    sys.stdout.write(f"{target}: {len(package) / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
