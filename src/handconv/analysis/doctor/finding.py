"""What an examination ends with: findings, each with its evidence and its remedy, or none."""

import sys
import textwrap
from dataclasses import dataclass
from typing import Literal

from handconv.utils.live import columns

_WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Args:
        name: what it is, such as "dead units".
        evidence: what was measured, in a sentence with its numbers.
        remedy: what to do about it.
        severity: "severe" if results mean nothing or training cannot work until it is mended, else "mild".

    Example:
        >>> print(Finding("leaked test set", "9 of 10 test samples are training samples.", "Split anew.", "severe"))
        leaked test set (severe): 9 of 10 test samples are training samples. Split anew.
    """

    name: str
    evidence: str
    remedy: str
    severity: Literal["severe", "mild"]

    def __str__(self) -> str:
        return f"{self.name} ({self.severity}): {self.evidence} {self.remedy}"


@dataclass(frozen=True)
class Diagnosis:
    """All findings; printed, it is a short text, of one line if nothing was found.

    Args:
        findings: the severe ones first.

    Example:
        >>> print(Diagnosis(()))
        Nothing found.
    """

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def names(self) -> tuple[str, ...]:
        """What was found, by name."""
        return tuple(finding.name for finding in self.findings)

    def __str__(self) -> str:
        if self.healthy:
            return "Nothing found."
        return "\n\n".join(
            "\n".join([f"{each.name} ({each.severity})", _indented(each.evidence), _indented(f"Remedy: {each.remedy}")])
            for each in self.findings
        )


def _indented(text: str) -> str:
    room = min(columns(sys.stdout) or _WIDTH, _WIDTH)
    return textwrap.fill(text, room, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
