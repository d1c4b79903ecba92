"""A mutant: a guard, how it is taken away, and which tests must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """`old` stands once behind `after`, in that file, and becomes `new`."""

    path: str
    old: str
    new: str
    after: str = ""

    def applied(self, text: str) -> str:
        """The text with the change; ValueError where it cannot be made."""
        head, found, rest = text.partition(self.after) if self.after else ("", "", text)
        if self.after and not found:
            raise ValueError(f"{self.path}: nothing reads {self.after!r}")
        if self.old not in rest or (not self.after and rest.count(self.old) > 1):
            raise ValueError(f"{self.path}: not once {self.old!r}")
        return head + found + rest.replace(self.old, self.new, 1)


@dataclass(frozen=True)
class Mutant:
    """A guard that is gone."""

    guard: str
    tests: str
    changes: tuple[Change, ...]


def gone(guard: str, tests: str, path: str, old: str, new: str = "", after: str = "") -> Mutant:
    return Mutant(guard, tests, (Change(path, old, new, after),))
