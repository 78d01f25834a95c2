"""Files made for people and kept for a while, in DATA_DIR; web servers and workers share that folder."""

from __future__ import annotations

import secrets
from pathlib import Path

from flask import current_app


def new_name(ending: str) -> str:
    """A name that nobody guesses; what the person calls the file is said when it is sent."""
    return f"{secrets.token_urlsafe(24)}.{ending}"


def path_of(name: str) -> Path:
    folder: Path = current_app.config["DATA_DIR"] / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def draft_of(name: str, attempt: int) -> Path:
    """Where the file is written until it is whole."""
    return path_of(f"{name}.{attempt}")


def remove(name: str) -> None:
    """Take a file away, and what was left of attempts at it."""
    for path in path_of(name).parent.glob(f"{name}*"):
        path.unlink(missing_ok=True)
