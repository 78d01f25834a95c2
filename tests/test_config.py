"""Settings: the demo starts by itself, production refuses to start on anything weak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import config

STRONG = "7d1Fh2kLq9ZxW4mRbT8vYc3NpJ6sGa0E"


def production(**more: str) -> dict[str, str]:
    return {"KONTOR_ENV": "production", "SECRET_KEY": STRONG, "PUBLIC_URL": "https://partner.example.com"} | more


@pytest.mark.parametrize("secret", ["", "changeme", "short", "a" * 64, "x" * 31])
def test_production_refuses_a_weak_secret(tmp_path, secret):
    with pytest.raises(config.Misconfigured, match="SECRET_KEY"):
        config.load(production(SECRET_KEY=secret, DATA_DIR=str(tmp_path)))


@pytest.mark.parametrize("address", ["", "partner.example.com", "ftp://partner.example.com"])
def test_production_demands_the_public_address(tmp_path, address):
    with pytest.raises(config.Misconfigured, match="PUBLIC_URL"):
        config.load(production(PUBLIC_URL=address, DATA_DIR=str(tmp_path)))


def test_production_answers_its_own_host_alone_with_secure_cookies(tmp_path):
    settings = config.load(production(DATA_DIR=str(tmp_path)))

    assert settings["TRUSTED_HOSTS"] == ["partner.example.com"]
    assert settings["SESSION_COOKIE_SECURE"] and settings["SESSION_COOKIE_HTTPONLY"]


def test_the_demo_makes_its_own_key_once(tmp_path):
    first = config.load({"DATA_DIR": str(tmp_path)})
    second = config.load({"DATA_DIR": str(tmp_path)})

    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert len(first["SECRET_KEY"]) >= 32


def test_a_plain_postgresql_address_is_reached_through_psycopg_3(tmp_path):
    settings = config.load(production(DATABASE_URL="postgresql://kontor@db/kontor", DATA_DIR=str(tmp_path)))

    assert settings["SQLALCHEMY_DATABASE_URI"] == "postgresql+psycopg://kontor@db/kontor"


def test_a_web_worker_looks_through_nothing_that_is_loaded_for_garbage():
    served = "import gc, runpy; runpy.run_path('gunicorn.conf.py')['post_worker_init'](0); print(gc.get_freeze_count())"
    root = Path(__file__).parent.parent
    said = subprocess.run([sys.executable, "-c", served], cwd=root, check=True, stdout=subprocess.PIPE, text=True)

    assert int(said.stdout) > 1_000
