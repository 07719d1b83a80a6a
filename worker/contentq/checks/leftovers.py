"""Leftovers of a model or a template in a draft: remarks, placeholders, parts of the prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentq.checks.check import CheckOfText, Subject
from contentq.content import count_words
from contentq.titles import outside_code

REMARKS = re.compile(
    r"\bas an? (?:ai|artificial intelligence|large language model|language model|virtual assistant)"
    r"(?: language model| assistant| model)?,? (?:i|my)\b|"
    r"\bi(?:'m| am) an? (?:ai|large language model|language model)\b|"
    r"\bmy (?:knowledge|training) cut-?off\b|"
    r"\bi (?:cannot|can't|can not) (?:fulfill|assist with|comply with) (?:that|this|your)\b|"
    r"作为(?:一个|一名|一款)?(?:ai|人工智能)(?:语言模型|助手|模型)?[,，]|"
    r"\bals ki-(?:sprachmodell|assistent|modell)\b|"
    r"\ben tant (?:que modèle de langage|qu'(?:ia|intelligence artificielle))\b|"
    r"\bcomo (?:un |um )?modelo de (?:lenguaje|linguagem)\b"
)
"""Phrases of assistants about themselves, in lower case, with single spaces and straight apostrophes."""

OPENINGS = re.compile(
    r"\W{0,10}(?:"
    r"(?:sure|certainly|of course|absolutely|gladly)(?:[!:]|[ ,!.]{1,3}here\b)|"
    r"(?:here(?:'s| is| are)|below is)(?: [\w'-]{1,20}){0,6} (?:article|post|draft|text|version|revision|essay)\b|"
    r"(?:当然|好的|没问题)[,，!！。:：]|以下是|"
    r"(?:natürlich|gerne)[!.:]|hier ist (?:der|dein|ihr|die)\b|"
    r"bien sûr[!.:]|voici (?:l'article|votre article|un article|le texte)\b|"
    r"(?:claro|por supuesto)[!.:]|aquí (?:tienes|está)\b"
    r")",
    re.IGNORECASE,
)
"""Beginnings of a remark before the article."""

CLOSINGS = re.compile(
    r"\b(?:let me know if|i hope this helps|would you like me to|do you want me to|"
    r"feel free to ask(?= me\b| any| further\b| (?:if|should) you\b|[!.]|$)|"
    r"if you(?:'d| would) like, i can)\b|希望(?:这)?对[你您]有(?:所)?帮助|如果[你您]需要"
)
"""Phrases of a remark after the article."""

_EDGE = 300
"""Maximum length, in characters, of the first and last paragraph to be searched for remarks."""

_BRACKETS = re.compile(r"\[([^\[\]\n]{1,80})\](?![(\[:])|<([^<>\n]{1,80})>")
_FIELDS = re.compile(
    r"\{\{[^{}\n]{0,80}\}\}|\{%[^%\n]{0,80}%\}|"
    r"\$?\{(?:topic|keywords?|tone|category|title|name|company|requirements|date)\}",
    re.IGNORECASE,
)
_INLINE_CODE = re.compile(r"`[^`\n]{1,200}`")
_BEGINS = ("your ", "your_", "insert ", "insert_", "enter ", "fill in", "placeholder", "add your ")
_TO_DO = re.compile(r"(?:TODO|TBD)\b|(?i:todo|tbd)(?:$|\W{0,3}[:：–-])")
"""In lower case it may be a word: todo is Spanish for all."""

_BEGINS_CJK = ("您的", "你的", "插入", "请输入", "在此", "此处")
_WHOLE = frozenset(
    (
        *(
            "name",
            "company",
            "company name",
            "product name",
            "brand name",
            "author",
            "author name",
            "date",
            "link",
        ),
        *("url", "website", "city", "location", "phone number", "email", "email address", "topic", "title"),
        *("公司名称", "姓名", "日期", "链接"),
    )
)

_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s{1,20}|(?<=[。！？])|\n")
_MOST_SENTENCES = 300
_LEAST_WORDS = 8
"""Minimum number of words of a sentence that a draft does not contain by accident."""

_SHOWN = 80
"""Maximum length of a finding in a message, in characters."""


class NoLeftovers(CheckOfText):
    """The draft has no remark of an assistant, no placeholder and no sentence of the prompt.

    Code is not searched for placeholders. Sentences of the task itself, or of the draft to revise, do not count as
    the prompt's.
    """

    name = "no_leftovers"
    setting = True

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        found = [*_remarks(subject.body), *_placeholders(subject.body), *_of_prompt(subject)]
        return "; ".join(found) or None


def _remarks(body: str) -> Iterator[str]:
    said = REMARKS.search(_comparable(body))
    text = body.strip()
    first, last = text[:_EDGE].partition("\n\n")[0], text[-_EDGE:].rpartition("\n\n")[2]
    opening = None if first.startswith("#") else OPENINGS.match(_straight(first))
    closing = CLOSINGS.search(_comparable(last))
    if said is not None:
        yield f"there is a remark of an assistant in it, '{said[0]}'; write nothing about yourself"
    if opening is not None:
        yield f"there is a remark before it, '{_short(first)}'; begin with the article itself"
    if closing is not None:
        yield f"there is a remark after it, '{closing[0]}'; end with the article itself"


def _placeholders(body: str) -> Iterator[str]:
    text = _INLINE_CODE.sub("", "\n".join(outside_code(body)))
    for match in _BRACKETS.finditer(text):
        said = (match[1] or match[2] or "").strip()
        inside = said.lower()
        is_to_fill = inside.startswith(_BEGINS + _BEGINS_CJK) or _TO_DO.match(said) is not None
        if is_to_fill or (match[1] and inside in _WHOLE):
            yield _describe_placeholder(match[0])
            return
    field = _FIELDS.search(text)
    if field is not None:
        yield _describe_placeholder(field[0])
    elif "lorem ipsum" in text.lower():
        yield _describe_placeholder("lorem ipsum")


def _describe_placeholder(text: str) -> str:
    return f"there is a placeholder in it, '{_short(text)}'; write what belongs there, or leave it out"


def _of_prompt(subject: Subject) -> Iterator[str]:
    if not subject.prompt:
        return
    task, before = subject.task, subject.context.previous_content
    own = [
        task.topic,
        task.keywords,
        task.requirements,
        task.tone,
        before and before.title,
        before and before.body,
    ]
    wanted, text = _comparable("\n".join(each for each in own if each)), _comparable(subject.body)
    for sentence in _SENTENCE_ENDS.split(subject.prompt, _MOST_SENTENCES)[:_MOST_SENTENCES]:
        comparable = _comparable(sentence)
        if len(comparable) < _LEAST_WORDS or comparable in wanted or comparable not in text:
            continue
        if count_words(comparable) >= _LEAST_WORDS:
            yield f"there is a sentence of the prompt in it, '{_short(sentence)}'; leave it out"
            return


def _straight(text: str) -> str:
    return text.replace("’", "'").replace("‘", "'")


def _comparable(text: str) -> str:
    """The text in lower case, with straight apostrophes and single spaces."""
    return " ".join(_straight(text).lower().split())


def _short(text: str) -> str:
    said = " ".join(text.split())
    return said if len(said) <= _SHOWN else f"{said[: _SHOWN - 1]}…"
