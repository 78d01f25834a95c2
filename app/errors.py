"""The ways a deed can end without being done. None of them is a fault of the program."""


class Refused(Exception):
    """A rule says no. The text is a sentence for the person, already translated.

    `field` names the input the sentence belongs to, so that a form can show it there.
    """

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(str(sentence))
        self.sentence = str(sentence)
        self.field = field


class Conflict(Refused):
    """The same call came before with another content, or somebody was faster; to the API 409."""


class OutsideScope(LookupError):
    """Something beyond the wall was reached for; to the person it does not exist (404)."""


class NoScope(RuntimeError):
    """A session was used before anybody said for whom: a fault in the program, closed by default."""
