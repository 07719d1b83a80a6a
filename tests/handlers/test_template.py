"""The handler `template` writes readable drafts for any task."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contentq import GeneratedContent, PermanentError, Task
from contentq.content import count_words
from contentq.errors import HandlerUnusable
from contentq.handlers.template import TemplateHandler

from tests.support.tasks import task

EXAMPLE = Path(__file__).parents[2] / "docs/example/topics.csv"
SHIPPED = TemplateHandler()


def draft(of: Task, folder: Path | None = None) -> GeneratedContent:
    handler = TemplateHandler(folder) if folder else SHIPPED
    return handler(of, None)


def example() -> Iterator[Task]:
    with EXAMPLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            del row["account"], row["priority"]
            columns: Any = row
            yield task(**columns)


Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a user template; returns its folder."""

    def write_one(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write_one


def test_everything_that_an_english_task_says_is_in_its_draft() -> None:
    content = draft(
        task(
            "Winter tyres below seven degrees",
            keywords="grip, tread depth",
            category="personal_finance",
            requirements="- State the legal tread depth; no brand names\n2. Name 3.5 mm",
            tone="neutral",
        )
    )

    assert content.title == "Winter tyres below seven degrees"
    assert content.body.startswith(
        "# Winter tyres below seven degrees\n\n**Winter tyres below seven degrees** is "
    )
    assert "one that belongs under “personal finance”. This draft" in content.body
    assert re.findall(r"^- \*\*(.+)\*\*: ", content.body, re.MULTILINE) == ["grip", "tread depth"]
    asked = "## What was asked for\n\n1. State the legal tread depth\n2. no brand names\n3. Name 3.5 mm\n\n## "
    assert asked in content.body
    assert content.result == {"handler": "template"}


def test_everything_that_a_chinese_task_says_is_in_its_draft() -> None:
    content = draft(
        task(
            "初学者如何挑选第一把小提琴",
            keywords="尺寸, 琴弓",
            category="音乐",
            requirements="说明区别；1、给出预算",
        )
    )

    assert content.title == "初学者如何挑选第一把小提琴"
    assert "属于“音乐”：**初学者如何挑选第一把小提琴**。本文说明" in content.body
    assert re.findall(r"^- \*\*(.+)\*\*：", content.body, re.MULTILINE) == ["尺寸", "琴弓"]
    assert "## 写作要求\n\n1. 说明区别\n2. 给出预算\n\n## 如何开始" in content.body


@pytest.mark.parametrize(
    ("topic", "tone", "said"),
    [
        ("Tea", None, "Look at what matters, try it"),
        ("Tea", "neutral", "Look at what matters, try it"),
        ("Tea", "unheard-of", "Look at what matters, try it"),
        ("Tea", " Friendly ", "That's the whole tour."),
        ("Tea", "academic", "In summary, the subject merits attention"),
        ("茶", None, "抓住要点，"),
        ("茶", "warm", "就是这些！"),
        ("茶", "亲切", "就是这些！"),
        ("茶", "formal", "综上所述，"),
        ("茶", "正式", "综上所述，"),
    ],
)
def test_tone_decides_how_a_draft_speaks(topic: str, tone: str | None, said: str) -> None:
    assert said in draft(task(topic, tone=tone)).body


@pytest.mark.parametrize(
    ("topic", "heading"),
    [("茶的 PostgreSQL 队列", "## 基本内容"), ("東京の歴史", "## What it"), ("漢字와 한글", "## What it")],
)
def test_only_chinese_is_taken_for_chinese(topic: str, heading: str) -> None:
    assert heading in draft(task(topic)).body


@pytest.mark.parametrize(
    ("topic", "title"),
    [
        ("  Two\n lines ", "Two lines"),
        ("A sentence.", "A sentence"),
        ("一句话。", "一句话"),
        ("To be continued...", "To be continued..."),
        ("Made in the U.S.", "Made in the U.S."),
        ("What is rain?", "What is rain?"),
        ("Colours:", "Colours"),
        ("C#", "C#"),
        ("# Heading #", "# Heading #"),
        (" . ", "Untitled"),
        (None, "Untitled"),
    ],
)
def test_title_is_the_topic_in_one_line_without_its_full_stop(topic: str | None, title: str) -> None:
    assert draft(task(topic)).title == title


TOPICS = ["Lentil soup", "What is rain?", "Wait…", "Vitamin C.", "什么是雨？", "一碗汤", "等一等……", None]


@pytest.mark.parametrize("topic", TOPICS)
def test_draft_is_well_formed_whatever_is_left_out(topic: str | None) -> None:
    left_out_or_not = itertools.product(
        [None, "", "salt, , fat", "盐"],
        [None, " ", "non-fiction", "家居"],
        [None, ";;\n- ", "Be brief."],
        [None, "warm", "formal"],
    )
    for keywords, category, requirements, tone in left_out_or_not:
        given = task(topic, keywords=keywords, category=category, requirements=requirements, tone=tone)
        body = draft(given).body.replace("**", "")
        assert ("## What matters" in body or "## 关键要点" in body) == bool(keywords)
        assert ("## What was asked for" in body or "## 写作要求" in body) == (requirements == "Be brief.")
        assert ("“" in body) == bool(category and category.strip())
        assert "None" not in body
        assert not re.search(r"[{}]|[.,:;?!…][.,:;]| [.,:;?!]|[。，：；？！…][。，：；.]|\n\n\n| \n|“ ?”", body), (
            body
        )
        for paragraph in body.rstrip("\n").split("\n\n"):
            assert paragraph.startswith("#") or re.search(r"[.!?。！？]$", paragraph), paragraph


def test_bold_in_chinese_ends_where_markdown_sees_it() -> None:
    for tone in (None, "warm", "formal"):
        assert "：**什么是雨？** " in draft(task("什么是雨？", tone=tone)).body
        assert "：**什么是“雨”**。" in draft(task("什么是“雨”", tone=tone)).body


@pytest.mark.parametrize(
    ("topic", "written"),
    [
        ("List<String> & <b>bold</b>", r"List\<String> & \<b>bold\</b>"),
        ("2 * 3, **all** of it", r"2 \* 3, \*\*all\*\* of it"),
        ("snake_case and _this_", r"snake_case and \_this\_"),
        ("A [link](https://example.com) and `code`", r"A \[link](https://example.com) and \`code\`"),
        ("Entities: &copy; and R&D", r"Entities: \&copy; and R&D"),
        ("C:\\new ~~old~~", r"C:\\new \~\~old\~\~"),
        ("{{ 7 * 7 }} {% raw %}", r"{{ 7 \* 7 }} {% raw %}"),
    ],
)
def test_topic_is_shown_as_it_is_and_not_taken_for_markup(topic: str, written: str) -> None:
    content = draft(task(topic, keywords=topic.replace(",", ""), requirements=topic.replace(";", "")))

    assert content.title == topic
    assert content.body.startswith(f"# {written}\n\n**{written}** is ")
    assert f"- **{written.replace(',', '')}**: " in content.body
    assert f"1. {written.replace(';', '').replace(chr(92) + '&copy', '&copy')}\n" in content.body


def test_words_of_the_body_are_left_to_be_counted() -> None:
    content = draft(task("Why the sky is blue"))

    assert content.word_count is None
    assert 100 < count_words(content.body) < 150


def test_same_task_gets_the_same_draft_and_different_tasks_are_not_all_alike() -> None:
    assert draft(task("Tea", tone="warm")) == draft(task("Tea", tone="warm"))

    topics = [each.topic or "" for each in example()]
    assert len({draft(task(topic)).body.replace(topic, "") for topic in topics}) > len(topics) / 3


def test_each_topic_of_the_example_gets_a_draft_of_its_own() -> None:
    drafts = [(each, draft(each)) for each in example()]

    assert len(drafts) == 50
    for each, content in drafts:
        assert content.title == each.topic
        assert content.body.startswith(f"# {each.topic}\n\n")
        assert all(f"- **{keyword}**" in content.body for keyword in each.keyword_list)


def test_folder_of_the_user_comes_first_and_a_template_by_category_before_all(write: Write) -> None:
    write("draft.md.j2", "# Mine: {{ topic }}")
    folder = write("slow-food.md.j2", "## {{ topic }} for {{ task.account_id }}\n\n\n\n{{ pick('a') }}\n\n")

    assert draft(task("Tea"), folder).body == "# Mine: Tea\n"
    assert draft(task("Tea", category="Slow Food!"), folder) == GeneratedContent(
        title="Tea for 1", body="## Tea for 1\n\na\n", result={"handler": "template"}
    )
    assert "## 基本内容" in draft(task("茶"), folder).body


@pytest.mark.parametrize("category", ["../secret", "..", "/etc/passwd", "汉" * 100, "a\\b"])
def test_category_does_not_lead_out_of_the_folder(category: str, tmp_path: Path, write: Write) -> None:
    write("secret.md.j2", "secret")
    (tmp_path / "folder").mkdir()

    assert draft(task("Tea", category=category), tmp_path / "folder").title == "Tea"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# {{ topic }}\n\n{{ nothing }}", "template recipe.md.j2, line 3: 'nothing' is undefined"),
        ("{{ task.colour }}", "template recipe.md.j2, line 1: .* has no attribute 'colour'"),
        ("\n{% include 'part.j2' %}", "template recipe.md.j2, line 2: TemplateNotFound: part.j2"),
        ("\n{{ 1 / 0 }}", "template recipe.md.j2, line 2: ZeroDivisionError: division by zero"),
        ("\n{{ topic + 1 }}", "template recipe.md.j2, line 2: TypeError: can only concatenate"),
        ("\n{{ pick() }}", "template recipe.md.j2, line 2: IndexError: "),
        ("{% include 'recipe.md.j2' %}", "template recipe.md.j2, line 1: RecursionError: "),
    ],
)
def test_template_at_fault_fails_its_task_and_the_error_names_file_and_line(
    write: Write, text: str, said: str
) -> None:
    folder = write("recipe.md.j2", text)

    with pytest.raises(PermanentError, match=f"^{said}"):
        draft(task(category="recipe"), folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# {{ topic }}\n{% if %}", "the template '{file}', line 2: Expected an expression"),
        ("# {{ topic|nonsense }}", "the template '{file}', line 1: No filter named 'nonsense'"),
        (
            "{% block a %}{% endblock %}\n{% block a %}{% endblock %}",
            "the template '{file}', line 2: block 'a' def",
        ),
        ("# caf\xe9", "the template 'recipe.md.j2' is not UTF-8"),
    ],
)
def test_template_with_an_error_of_syntax_is_refused_at_the_start(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "recipe.md.j2"
    file.write_text(text, encoding="latin-1")

    with pytest.raises(HandlerUnusable) as caught:
        TemplateHandler(tmp_path)
    assert str(caught.value).startswith(said.format(file=file))


def test_template_that_another_names_is_looked_at_as_well_and_that_of_another_handler_is_not(write: Write) -> None:
    write("recipe.md.j2", "# {{ topic|plain }}\n{% include 'part.j2' %}{% include topic %}")
    write("notes.txt", "{% if %}")
    folder = write("recipe.prompt.j2", "{% if %}")
    TemplateHandler(folder)

    write("part.j2", "\n\n{% endif %}")
    with pytest.raises(HandlerUnusable, match=r"part\.j2', line 3: Encountered unknown tag 'endif'"):
        TemplateHandler(folder)


def test_template_that_is_broken_while_the_worker_runs_fails_its_task(write: Write) -> None:
    handler = TemplateHandler(write("recipe.md.j2", "# {{ topic }}"))
    file = write("recipe.md.j2", "# {{ topic }}\n{% if %}") / "recipe.md.j2"

    with pytest.raises(PermanentError, match=r"^template recipe\.md\.j2, line 2: Expected an expression"):
        handler(task(category="recipe"), None)

    file.write_bytes(b"# caf\xe9")
    with pytest.raises(PermanentError, match=r"^template recipe\.md\.j2 or draft\.md\.j2: UnicodeDecodeError: "):
        handler(task(category="recipe"), None)


def test_template_that_was_mended_is_read_again(write: Write) -> None:
    handler = TemplateHandler(write("recipe.md.j2", "{{ nothing }}"))
    with pytest.raises(PermanentError):
        handler(task(category="recipe"), None)

    write("recipe.md.j2", "# {{ topic }}, mended")

    assert handler(task(category="recipe"), None).title == "Lentil soup, mended"


def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HandlerUnusable, match=r"the template folder '.*/nowhere' is not a folder"):
        TemplateHandler(tmp_path / "nowhere")
