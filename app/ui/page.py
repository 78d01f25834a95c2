"""The shapes of our pages: what a template is given, and nothing about where it comes from.

Every text in here is already translated and formatted for the person; templates only arrange it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Link:
    """A place to go. `modal` opens it in the dialog when scripts run, as a page of its own when not."""

    label: str
    url: str
    icon: str = ""
    active: bool = False
    modal: bool = False
    key: str = ""


@dataclass(frozen=True)
class MenuGroup:
    label: str
    items: list[Link]


@dataclass(frozen=True)
class AccountChoice:
    """One of the accounts the person may act in."""

    label: str
    slug: str
    url: str
    kind_label: str
    role_label: str
    active: bool = False


@dataclass(frozen=True)
class UserBadge:
    name: str
    email: str
    initials: str


@dataclass(frozen=True)
class Shell:
    """The frame around a back-office page: who acts where, and where one can go."""

    brand: str
    account: AccountChoice | None
    accounts: tuple[AccountChoice, ...]
    user: UserBadge | None
    menu: list[MenuGroup]
    languages: list[Link]
    user_links: list[Link] = field(default_factory=list)
    sign_out_url: str = ""
    notice: str = ""  # on every page, above everything


@dataclass(frozen=True)
class FilterInput:
    """One input of the filter row; its name is the URL argument (`_flt_<operator>_<column>`)."""

    name: str
    label: str
    value: str = ""
    type: str = "text"  # the HTML type: text, date, or decimal (text with inputmode=decimal)
    off: bool = False  # not needed, as the filter is asked at the moment


class Choice(NamedTuple):
    value: str
    label: str
    selected: bool = False


class Way(NamedTuple):
    """One way to ask about a column: *contains*, *is not*, *last 30 days*."""

    name: str  # of the URL argument
    word: str  # what it says there, where nothing is to be typed or chosen besides
    label: str
    selected: bool = False


@dataclass(frozen=True)
class ColumnFilter:
    """What the panel offers of a column: ways to ask, and something to choose from, or inputs (one, or from/until)."""

    name: str  # the URL argument of the words among the ways
    label: str
    ways: tuple[Way, ...] = ()
    choices: tuple[Choice, ...] = ()
    control: str = ""  # the URL argument of the choices; empty while a word stands in their place
    inputs: tuple[FilterInput, ...] = ()
    active: bool = False

    @property
    def names(self) -> list[str]:
        """The URL arguments that it says itself."""
        return [self.name, self.control, *(one.name for one in self.inputs if not one.off)]


@dataclass(frozen=True)
class Column:
    name: str
    label: str
    kind: str = "text"  # text long number money date moment flag choice country language link email url phone masked
    sort_url: str = ""  # empty: cannot be sorted
    also_sort_url: str = ""  # to sort by it besides what it is sorted by
    sorted: str = ""  # "", "asc", "desc"
    rank: int = 0  # which of several it is sorted by, from 1

    @property
    def align(self) -> str:
        return "end" if self.kind in {"number", "money"} else "start"


class Cell(NamedTuple):
    text: str
    kind: str = "text"
    url: str = ""
    tone: str = ""  # choice cells are badges: green yellow red blue azure purple secondary
    indent: int = 0  # how deep a row of a tree hangs; only on its first cell
    texts: tuple[str, ...] = ()  # several badges instead of one


@dataclass(frozen=True)
class Row:
    pk: str
    label: str  # how a confirmation names it
    cells: list[Cell]
    url: str = ""  # its detail page
    edit_url: str = ""
    muted: bool = False  # archived and the like
    verbs: str = ""  # what can be done to it, apart by blanks


@dataclass(frozen=True)
class Action:
    """A verb offered on a selection of rows or on one thing. `confirm` is the question asked before it."""

    name: str
    label: str
    icon: str = ""
    confirm: str = ""
    danger: bool = False
    url: str = ""  # detail pages: where it is posted
    modal: bool = False  # it asks something first: opens url as a dialog instead of posting


@dataclass(frozen=True)
class Paging:
    page: int  # from 1
    pages: int
    count: int  # as far as it is known
    summary: str  # "1–25 of 60", "1–25 of 10,000+"
    count_url: str = ""  # leads to the exact number
    previous_url: str = ""
    next_url: str = ""
    numbers: list[Link] = field(default_factory=list)  # a link without URL is a gap
    sizes: list[Link] = field(default_factory=list)


@dataclass(frozen=True)
class Empty:
    """What stands where no row stands: what this is for and what to do."""

    title: str
    text: str
    link: Link | None = None
    icon: str = "inbox"


@dataclass(frozen=True)
class Chip:
    """A filter in force, said in words; the URL leads to the list without it."""

    label: str
    value: str
    url: str
    key: str  # the URL argument it is, under which an input changes it


@dataclass(frozen=True)
class ColumnChoice:
    """One column in the dialog *Columns*."""

    name: str
    label: str
    shown: bool


class Sum(NamedTuple):
    """What a column comes to, and of what: an amount for a month, so many of one article."""

    text: str
    of: str = ""


@dataclass(frozen=True)
class Totals:
    """The foot of a list: column → what it comes to; or, in a very long one, where to ask for it."""

    sums: dict[str, list[Sum]]
    ask_url: str = ""
    hide_url: str = ""


@dataclass(frozen=True)
class ViewTab:
    label: str
    url: str
    shared: bool = False
    active: bool = False
    usual: bool = False  # the one the list opens with


@dataclass(frozen=True)
class ViewBar:
    """The saved views of a list, and what can be done with the one at hand. A URL that is empty: it cannot be done."""

    tabs: list[ViewTab]
    name: str = ""  # of the one at hand
    changed: bool = False  # the list no longer looks as it was saved
    state: str = ""  # how it looks now, to be saved
    add_url: str = ""
    keep_url: str = ""
    revert_url: str = ""
    edit_url: str = ""
    delete_url: str = ""
    usual_url: str = ""
    usual: bool = False


@dataclass(frozen=True)
class ListPage:
    title: str
    view: str
    url: str
    columns: list[Column]
    rows: list[Row]
    paging: Paging
    lead: str = ""
    q: str = ""
    searchable: bool = False
    kept: list[tuple[str, str]] = field(default_factory=list)  # URL arguments the filter form keeps (sort, size)
    chips: list[Chip] = field(default_factory=list)
    clear_url: str = ""
    add: Link | None = None
    export_url: str = ""
    export_links: list[Link] = field(default_factory=list)
    export_later: Action | None = None
    tools: list[Link] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    action_url: str = ""
    empty: Empty | None = None
    embedded: bool = False  # a section of a detail page: no page header of its own
    filters: list[ColumnFilter] = field(default_factory=list)  # what the panel offers, also of columns not shown
    choices: tuple[ColumnChoice, ...] = ()
    kept_by_columns: list[tuple[str, str]] = field(default_factory=list)  # URL arguments the dialog *Columns* keeps
    usual_columns_url: str = ""
    views: ViewBar | None = None
    totals: Totals | None = None
    key: str = ""  # how the list is named in addresses
    size_url: str = ""  # where the choice of a page size is posted to be remembered
    sizes_state: str = ""  # what of the address stays when it is
    matching: str = ""  # how many rows match, where those not on this page can be chosen with them
    too_many: bool = False  # more match than can be chosen
    count: int = 0

    @property
    def is_edited(self) -> bool:
        """Whether some of its rows can be changed."""
        return any(row.edit_url for row in self.rows)


@dataclass(frozen=True)
class FieldGroup:
    title: str
    fields: list[Any]  # bound WTForms fields


@dataclass(frozen=True)
class FormPage:
    """A form, as a page or inside the dialog (`modal`)."""

    title: str
    url: str
    form: Any  # WTForms; templates use form.hidden_tag(), form.errors
    groups: list[FieldGroup]
    submit_label: str
    cancel_url: str
    lead: str = ""
    modal: bool = False
    danger: bool = False
    extra: str = ""  # a template with what else the form asks; given `more`
    more: dict[str, Any] = field(default_factory=dict)
    within: bool = False  # one of several steps in the dialog: cancelling leads a step back


@dataclass(frozen=True)
class Fact:
    label: str
    cell: Cell


@dataclass(frozen=True)
class Section:
    """A part of a detail page: facts, or something fetched from `url` when it comes into view."""

    key: str
    title: str
    facts: list[Fact] = field(default_factory=list)
    url: str = ""
    lead: str = ""


@dataclass(frozen=True)
class DetailPage:
    title: str
    kind: str  # what it is: "Customer", "License"
    back: Link
    sections: list[Section]
    badges: list[Cell] = field(default_factory=list)
    edit: Link | None = None
    links: list[Link] = field(default_factory=list)  # other places that belong to it
    actions: list[Action] = field(default_factory=list)
    lead: str = ""
