"""LibreOffice as a reader of files: what it has understood of a workbook, it writes down anew."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def understood(data: bytes, folder: Path) -> bytes:
    """The workbook as LibreOffice has read it. Where it is not installed the test is skipped, but never in CI."""
    program = shutil.which("soffice")
    if program is None:
        assert not os.environ.get("CI"), "install libreoffice-calc, as .ci/run does"
        pytest.skip("LibreOffice is not installed")
    given, made = folder / "given.xlsx", folder / "made"
    given.write_bytes(data)
    profile = f"-env:UserInstallation=file://{folder}/profile"
    options = [profile, "--headless", "--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(made)]
    subprocess.run([program, *options, str(given)], check=True, capture_output=True, timeout=120)
    return (made / given.name).read_bytes()
