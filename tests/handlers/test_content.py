"""Words are counted as an editor counts them."""

from __future__ import annotations

import pytest
from contentq import count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \n\t", 0),
        ("---\n\n* * *", 0),
        ("One word, two; three.", 4),
        ("# A heading\n\n- **bold** text", 4),
        ("Don't say it’s o'clock", 4),
        ("A well-known follow-up", 3),
        ("before -- after — later", 3),
        ("3.14 is not 1,000,000", 4),
        ("Ça coûte très cher, Müller", 5),
        ("re\u0301sume\u0301 nai\u0308ve", 2),
        ("हिन्दी भाषा।", 2),
        ("مَرحبا بالعالم", 2),
        ("怎样读懂一份体检报告？", 10),
        ("人々はアイス・クリームを食べる。", 14),
        ("한국어 단어", 5),
        ("用 Python 写 PostgreSQL 队列", 6),
        ("iPhone16发布了", 4),
        ("𠮷野家", 3),
    ],
)
def test_words_are_counted(text: str, words: int) -> None:
    assert count_words(text) == words
