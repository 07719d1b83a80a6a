"""Differences between two texts: correct for any two, readable for articles, and fast for hostile ones."""

from __future__ import annotations

import time

import pytest
from contentq.difference import MOST_LINES, Piece, difference
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(alphabet="ab \n茶,", max_size=60)


@given(TEXTS, TEXTS)
def test_pieces_make_up_both_texts(before: str, after: str) -> None:
    pieces = difference(before, after)

    assert "".join(piece.text for piece in pieces if piece.kind != "added") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == after
    assert all(piece.text for piece in pieces)


def test_only_the_words_that_differ_have_changed() -> None:
    before = "# Tea\n\nIt is a hot drink, they say.\n\nEnd\n"
    after = "# Tea\n\nIt is a fine drink, they say.\n\nEnd\n"

    assert difference(before, after) == [
        Piece("same", "# Tea\n\n"),
        Piece("same", "It is a "),
        Piece("removed", "hot"),
        Piece("added", "fine"),
        Piece("same", " drink, they say.\n"),
        Piece("same", "\nEnd\n"),
    ]


def test_chinese_is_compared_character_by_character() -> None:
    assert [piece.text for piece in difference("我喝红茶。", "我喝绿茶。") if piece.kind != "same"] == ["红", "绿"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n".join(f"a{n}" for n in range(MOST_LINES)), "\n".join(f"b{n}" for n in range(MOST_LINES))),
        ("\n".join("ab"[n % 2] for n in range(100_000)), "\n".join("ba"[n % 2] for n in range(100_000))),
        (" ".join(f"a{n % 700}" for n in range(100_000)), " ".join(f"a{n * 7 % 700}" for n in range(100_000))),
        (
            "\n".join(" ".join(f"x{n * k % 97}" for n in range(400)) + f" {k}" for k in range(500)),
            "\n".join(" ".join(f"x{n * k % 89}" for n in range(400)) + f" {k}!" for k in range(500)),
        ),
    ],
)
def test_long_texts_take_no_more_than_seconds(before: str, after: str) -> None:
    began = time.process_time()

    difference(before, after)

    assert time.process_time() - began < 5
