"""Audit: all findings of one audit, ranked; saved as findings.json and loaded without model or photos."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from ..errors import InputError, close_matches
from ..files import make_folder, write_text
from ..legible import in_one_line
from ..models.regular import read_bounded
from .finding import Answer, Finding, Kind, State

FORMAT = 1
FILE = "findings.json"
LONGEST = 256 << 20
"""Bytes of findings.json: paths of a million carriers."""

_OTHER_NAMES = {"class_name": "class"}
"""Fields that are called otherwise in the file."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found about a model on a folder of photos.

    Attributes:
        model: its SPEC, the hash of its weights, its preprocessing; ready for JSON.
        photos: the folder, how many, how many labelled, accuracy, what could not be read; ready for JSON.
        findings: the one that explains most decisions first.
        made: seewhy's version, the seed, the forwards; what is needed to make it again; ready for JSON.
    """

    model: Mapping[str, Any]
    photos: Mapping[str, Any]
    findings: tuple[Finding, ...]
    made: Mapping[str, Any]

    @property
    def headline(self) -> str:
        """In one sentence: another preprocessing, else a suspected shortcut, else the first that is proven."""
        proven = [each for each in self.findings if each.state == "proven"]
        if proven:
            return min(proven, key=lambda each: (each.kind != "preprocessing", not each.suspected_shortcut)).sentence
        return f"nothing was proven on {self.photos['count']} photos, of {len(self.findings)} things looked at"

    def describe(self) -> dict[str, Any]:
        """Everything, ready for JSON: what findings.json holds."""
        return {
            "format": FORMAT, "model": dict(self.model), "photos": dict(self.photos), "made": dict(self.made),
            "findings": [_described(finding) for finding in self.findings],
        }  # fmt: skip

    def answered(self, finding_id: str, answer: str) -> Audit:
        """The same, with what a person says of a finding: "spurious", "real" or "unknown".

        What is real is no suspected shortcut, and what is spurious is one where it is proven.

        Raises:
            InputError: there is no such finding or answer.
        """
        if answer not in get_args(Answer):
            close = close_matches(answer, get_args(Answer))
            raise InputError("there is no such answer", expected=" or ".join(get_args(Answer)), got=answer, close=close)
        known = [each.id for each in self.findings]
        if finding_id not in known:
            raise InputError(f"there is no finding {finding_id!r}", close=close_matches(finding_id, known))
        findings = tuple(_answered(each, answer) if each.id == finding_id else each for each in self.findings)
        return replace(self, findings=findings)

    def answered_as(self, earlier: Audit) -> Audit:
        """The same, with the answers that an earlier audit holds to findings of the same id."""
        answers = {each.id: each.answer for each in earlier.findings if each.answer is not None}
        given = (_answered(each, answers[each.id]) if each.id in answers else each for each in self.findings)
        return replace(self, findings=tuple(given))

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write findings.json into ``folder``, and return its path.

        Raises:
            OutputError: it exists and ``overwrite`` is False, or it cannot be written.
        """
        path = make_folder(Path(folder)) / FILE
        write_text(path, json.dumps(self.describe(), indent=1, allow_nan=False), overwrite=overwrite)
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Audit:
        """What ``save`` wrote, or a findings.json itself.

        Raises:
            InputError: nothing readable is there, or it is of another format.
        """
        path = Path(folder)
        path = path / FILE if path.is_dir() else path
        try:
            about = json.loads(read_bounded(path, LONGEST, InputError, in_one_line(path)))
            if not isinstance(about, dict) or about.get("format") != FORMAT:
                got = about.get("format") if isinstance(about, dict) else type(about).__name__
                raise InputError(f"{in_one_line(path)} is of another format", expected=f"format {FORMAT}", got=got)
            parts = {key: _mapping(about[key], key) for key in ("model", "photos", "made")}
            return cls(findings=tuple(_finding(each) for each in about["findings"]), **parts)
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            what = f"{in_one_line(path)} holds no audit"
            raise InputError(what, expected=f"a folder with {FILE}", got=f"{type(error).__name__}: {error}") from error


def _answered(finding: Finding, answer: Any) -> Finding:
    suspected = finding.suspected_shortcut
    if answer == "real":
        suspected = False
    elif answer == "spurious":
        suspected = finding.state == "proven"
    return replace(finding, answer=answer, suspected_shortcut=suspected)


def _described(finding: Finding) -> dict[str, Any]:
    return {_OTHER_NAMES.get(name, name): value for name, value in asdict(finding).items()}


def _finding(about: Any) -> Finding:
    about = _mapping(about, "a finding")
    names = {each.name: _OTHER_NAMES.get(each.name, each.name) for each in fields(Finding)}
    given = {field: about[name] for field, name in names.items() if name in about}
    finding = Finding(**given)
    for name, known in (("kind", get_args(Kind)), ("state", get_args(State)), ("answer", (None, *get_args(Answer)))):
        if getattr(finding, name) not in known:
            raise InputError(
                f"a finding has no such {name}", expected=" or ".join(map(str, known)), got=getattr(finding, name)
            )
    for name in ("id", "sentence"):
        if not isinstance(getattr(finding, name), str):
            raise InputError(f"the {name} of a finding is text", got=type(getattr(finding, name)).__name__)
    texts = {name: tuple(map(str, getattr(finding, name))) for name in ("carriers", "remedy")}
    ci = None if finding.ci is None else (float(finding.ci[0]), float(finding.ci[1]))
    return Finding(**{**given, **texts, "ci": ci})


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what} is an object of JSON", got=type(value).__name__)
    return value
