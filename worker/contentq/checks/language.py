"""Detects the language of a draft by its letters and its most frequent words, without other packages.

Most scripts belong to one language each: Greek, Hebrew, Thai, Korean. Kana distinguish Japanese from Chinese.
Languages that share letters are distinguished by the words that make up a third of any text in them. This is
reliable for articles, but not for a few words or for dialects: a draft in an uncertain language passes.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from contentq.checks.check import CheckOfText, Subject
from contentq.checks.stop_words import ARABIC, CYRILLIC, LATIN, NAMES

LEAST_WORDS = 20
"""Minimum number of words to tell languages with the same letters apart."""

LEAST_LETTERS = 20
"""Minimum number of letters for any answer."""

_SHARE = 0.12
"""Minimum share of a language's most frequent words in a text in that language."""

_LEAD = 1.15
"""Minimum lead of another language over the expected one."""

_KANA_SHARE = 0.05
"""Minimum share of kana in a Japanese text."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+){0,2}")
_LINK = re.compile(r"https?://[^\s)>\]]{1,2000}")
_SCRIPTS = {
    "latin": r"a-zA-Z\u00c0-\u024f\u1e00-\u1eff",
    "cyrillic": r"\u0400-\u04ff",
    "arabic": r"\u0600-\u06ff",
    "el": r"\u0370-\u03ff\u1f00-\u1fff",
    "he": r"\u0590-\u05ff",
    "hi": r"\u0900-\u097f",
    "th": r"\u0e00-\u0e7f",
    "ko": r"\uac00-\ud7af\u1100-\u11ff",
    "kana": r"\u3041-\u309f\u30a0-\u30ff",
    "han": r"\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0003ffff",
}
_RUNS = {script: re.compile(f"[{letters}]+") for script, letters in _SCRIPTS.items()}
_SHARING = {"latin": LATIN, "cyrillic": CYRILLIC, "arabic": ARABIC}


class Language(CheckOfText):
    """The draft is in this language: a code such as en, de or zh; a region (pt-BR) is ignored.

    Raises ValueError for a language that cannot be detected.
    """

    name = "language"

    def __init__(self, code: str) -> None:
        self.setting = code
        self._code = re.split("[-_]", code.strip().lower())[0]
        self._code = "no" if self._code in ("nb", "nn") else self._code
        if self._code not in NAMES:
            raise ValueError(f"must be one of: {', '.join(NAMES)}")

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        found = language_of(subject.body, self._code)
        if found is None or found == self._code:
            return None
        return f"it is in {NAMES[found]}; write it in {NAMES[self._code]}"


def language_of(text: str, expected: str | None = None) -> str | None:
    """The code of the main language of a text; None if it is uncertain.

    expected: the language to prefer in doubt.
    """
    text = _LINK.sub(" ", text)
    letters = {script: sum(len(run) for run in runs.findall(text)) for script, runs in _RUNS.items()}
    # One such character carries as much as several letters.
    weight = {script: number * (3 if script in ("han", "kana", "ko") else 1) for script, number in letters.items()}
    weight["han"] += weight.pop("kana")
    script = max(weight, key=lambda each: weight[each])
    if weight[script] < LEAST_LETTERS:
        return None
    if script == "han":
        kana = letters["kana"]
        return "ja" if kana > _KANA_SHARE * (kana + letters["han"]) else "zh"
    return _by_words(text, script, expected) if script in _SHARING else script


def _by_words(text: str, script: str, expected: str | None) -> str | None:
    """The language, of those that share these letters."""
    counted: Counter[str] = Counter()
    total = 0
    for word in _WORD.findall(text):
        total += 1
        lower = word.lower()
        for language in _speakers(script).get(lower, ()) or _speakers(script).get(re.split("['’]", lower)[0], ()):
            counted[language] += 1
    if total < LEAST_WORDS or not counted:
        return None
    (best, most), *_ = counted.most_common(1)
    if expected is not None and most < _LEAD * counted[expected]:
        return expected
    return best if most >= _SHARE * total else None


@cache
def _speakers(script: str) -> dict[str, tuple[str, ...]]:
    """The languages of each word."""
    found: dict[str, tuple[str, ...]] = {}
    for language, words in _SHARING[script].items():
        for word in dict.fromkeys(words.split()):
            found[word] = (*found.get(word, ()), language)
    return found
