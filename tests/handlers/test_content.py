"""Words are counted as an editor counts them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import contentq.content
import pytest
from contentq import count_words

WORDS = [
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
]

# For all versions of Python, because early releases of 3.11 match some regular expressions wrongly.
PYTHONS = sorted({sys.executable, *filter(None, map(shutil.which, ["/usr/bin/python3", "python3", "python3.11"]))})

COUNT = """
import json, runpy, sys
if sys.version_info < (3, 11):
    sys.exit("too old")
count_words = runpy.run_path(sys.argv[1])["count_words"]
print(json.dumps([count_words(text) for text in json.load(sys.stdin)]))
"""


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_words_are_counted(text: str, words: int) -> None:
    assert count_words(text) == words


@pytest.mark.parametrize("python", PYTHONS)
def test_words_are_counted_alike_by_every_python(python: str) -> None:
    command = [python, "-c", COUNT, str(Path(contentq.content.__file__))]
    done = subprocess.run(command, input=json.dumps([text for text, _ in WORDS]), capture_output=True, text=True)

    if "too old" in done.stderr:
        pytest.skip(f"{python} is older than 3.11")
    assert done.stderr == ""
    assert json.loads(done.stdout) == [words for _, words in WORDS]
