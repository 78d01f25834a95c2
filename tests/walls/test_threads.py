"""Two people taking turns on one server: nobody sees the other's rows, filters or words."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cast import ALICE, CHARLIE, apart, browse

ROUNDS = 100
OWN = {
    ALICE: {"Deichbau", "Bergen Sensor", "Fjordline", "Nordlicht", "of-alice"},
    CHARLIE: {"Gletscherbau", "Alpenwerk", "of-charlie"},
}


@pytest.fixture
def often():
    """The interpreter changes threads as often as it can, so that what can go wrong does."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(usual)


def test_two_people_taking_turns_never_meet(app, often):
    browsers = [browse(person) for person in (ALICE, CHARLIE) for _thread in range(2)]

    with ThreadPoolExecutor(len(browsers)) as pool:
        found = [fault for faults in pool.map(turns, browsers) for fault in faults]

    assert not found, found[:10]


def turns(browser):
    """A hundred looks at the list, every other one with a filter of the person's own; what was wrong with them."""
    person, faults = browser.person, []
    strangers = set.union(*OWN.values()) - OWN[person]
    word = next(word for word in OWN[person] if word.startswith("of-"))
    for turn in range(ROUNDS):
        query = f"?_flt_0_name={word}-{turn}&_flt_0_kind=customer" if turn % 2 else "?sort=-name"
        page = apart(browser.client.get, f"/a/{person.slug}/accounts/list/{query}", buffered=True)
        faults += [f"{person.slug} {turn}: {page.status_code}"] if page.status_code != 200 else []
        faults += [f"{person.slug} {turn}: sees {word}" for word in strangers if word in page.text]
        wanted = f"{word}-{turn}" if turn % 2 else sorted(OWN[person])[0]
        faults += [f"{person.slug} {turn}: misses {wanted}"] if wanted not in page.text else []
    return faults
