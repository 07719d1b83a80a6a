"""The prompt contains the task's fields; user templates replace it or parts of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from contentq import PermanentError
from contentq.content import PreviousContent
from contentq.errors import HandlerUnusable
from contentq.handlers.openai.prompt import Prompt

from tests.support.tasks import context, task

REJECTED = PreviousContent(id=7, title="Tea", body="# Tea\n\nCold.\n", word_count=2, review_status="rejected")


def prompt(folder: Path | None = None, previous: PreviousContent | None = None, **columns: Any) -> dict[str, str]:
    of = task(**columns)
    messages = asyncio.run(Prompt(folder).messages(of, context(of, previous)))
    return {message["role"]: message["content"] for message in messages}


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name.replace('__', '.')}.j2").write_text(text, encoding="utf-8")
    return folder


def test_everything_that_a_task_says_is_in_the_prompt() -> None:
    asked = prompt(
        topic=" Winter\ntyres ",
        keywords="grip, tread depth",
        category="cars",
        tone="dry",
        requirements="- No brands;\n- short",
    )

    assert list(asked) == ["system", "user"]
    assert "in Markdown" in asked["system"]
    assert asked["user"] == (
        "Write an article.\n\nTopic: Winter tyres\nCategory: cars\n"
        "Keywords, each to be dealt with: grip, tread depth\nTone: dry\nRequirements:\n- No brands;\n- short"
    )


def test_what_a_task_leaves_out_is_not_in_the_prompt() -> None:
    assert prompt(topic="Tea")["user"] == "Write an article.\n\nTopic: Tea"
    assert prompt(topic=None)["user"] == "Write an article.\n\nTopic: of your choice"


def test_braces_of_a_task_are_no_template() -> None:
    assert prompt(topic="{{ 7 * 7 }} {% raw %}")["user"].endswith("Topic: {{ 7 * 7 }} {% raw %}")


def test_earlier_content_is_to_be_revised() -> None:
    asked = prompt(topic="Tea", previous=REJECTED)["user"]

    assert asked.startswith("Revise the article below, which a reviewer has rejected. Keep what is good")
    assert asked.endswith("\n\nThe article to revise:\n\n# Tea\n\nCold.")


def test_answer_that_was_cut_off_asks_for_a_shorter_one() -> None:
    assert prompt(error_message="the answer was cut off at max_tokens, 9")["user"].endswith("cut off: be brief.")


def test_template_by_category_comes_before_the_users_and_that_before_the_one_that_ships(tmp_path: Path) -> None:
    write(tmp_path, prompt="Write on {{ topic }}.", slow_food="x")
    (tmp_path / "slow-food.prompt.j2").write_text("Cook {{ topic }} for {{ account_id }}.")

    assert prompt(tmp_path, topic="tea") == {"user": "Write on tea."}
    assert prompt(tmp_path, topic="soup", category="Slow Food!", account_id=3) == {"user": "Cook soup for 3."}


def test_template_may_change_one_block_and_keep_the_other(tmp_path: Path) -> None:
    (tmp_path / "recipe.prompt.j2").write_text(
        '{% extends "prompt.j2" %}{% block system %}You cook. {{ super() }}{% endblock %}'
    )

    asked = prompt(tmp_path, topic="Tea", category="recipe")

    assert asked["system"].startswith("You cook. ")
    assert asked["system"].endswith("around it.")
    assert asked["user"] == "Write an article.\n\nTopic: Tea\nCategory: recipe"


def test_everything_that_a_template_is_promised_is_there(tmp_path: Path) -> None:
    text = (
        "{{ task.task_id }}|{{ topic }}|{{ keywords }}|{{ category }}|{{ requirements }}|{{ tone }}|"
        "{{ account_id }}|{{ previous_error }}|{{ previous_content.review_status }}"
    )
    write(tmp_path, prompt=text)

    asked = prompt(tmp_path, REJECTED, topic="Tea", keywords="a, b", error_message="503")

    assert asked["user"] == "task-1|Tea|['a', 'b']||||1|503|rejected"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ topic }}\n\n{{ nothing }}", "template recipe.prompt.j2, line 3: 'nothing' is undefined"),
        ("{% block user %}\n{{ task.colour }}{% endblock %}", "template recipe.prompt.j2, line 2: .*'colour'"),
        ("{% extends 'gone.j2' %}", "template recipe.prompt.j2, line 1: TemplateNotFound: gone.j2"),
        (" \n", "template recipe.prompt.j2: it has no prompt; write a block named user"),
        ("{% block system %}x{% endblock %}y", "template recipe.prompt.j2: it has no prompt; write a block"),
    ],
)
def test_template_at_fault_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "recipe.prompt.j2").write_text(text)

    with pytest.raises(PermanentError, match=f"^{said}"):
        prompt(tmp_path, category="recipe")


USER = "{% block user %}Write.{% endblock %}"
SHIPPED = '{% extends "prompt.j2" %}'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("{{ topic }}\n{% if %}", 2, "Expected an expression"),
        (f"{SHIPPED}\n\n{{% block usr %}}x{{% endblock %}}", 3, "there is no block 'usr' to replace; "),
        (
            f"{{% block sytem %}}x{{% endblock %}}{USER}",
            1,
            "there is no block 'sytem' to replace; there are: user",
        ),
        ("{% extends 'base.j2' %}{% block too %}x{% endblock %}", 1, "there is no block 'too' to replace; there"),
        ("{% extends 'recipe.prompt.j2' %}", 1, "it extends 'recipe.prompt.j2', and so itself"),
    ],
)
def test_template_at_fault_is_refused_at_the_start_with_file_and_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    write(tmp_path, base="{% block one %}{% endblock %}{% block two %}{% endblock %}")
    file = tmp_path / "recipe.prompt.j2"
    file.write_text(text)

    with pytest.raises(HandlerUnusable) as caught:
        Prompt(tmp_path)

    assert str(caught.value).startswith(f"the template '{file}', line {line}: {said}")
    if "'usr'" in said:
        assert str(caught.value).endswith("there are: system, user")
    if "'too'" in said:
        assert str(caught.value).endswith("there are: one, two")


@pytest.mark.parametrize(
    "text",
    [
        USER,
        "{% block intro %}Write.{% endblock %}",
        "{% extends 'base.j2' %}{% block two %}Write.{% endblock %}",
        f"{{% extends 'base.j2' %}}{USER}",
        f"{SHIPPED}{{% block user %}}{{% block part %}}Write.{{% endblock %}}{{% endblock %}}",
        f"{SHIPPED}{{% block user %}}{{{{ self.x() }}}}{{% endblock %}}{{% block x %}}Write.{{% endblock %}}",
        "{% extends 'parts.j2' %}{% block part %}Write.{% endblock %}",
        "{% extends 'base.j2' if topic else 'gone.j2' %}{% block two %}Write.{% endblock %}",
    ],
)
def test_block_that_is_in_the_prompt_whatever_its_name_is_not_refused(tmp_path: Path, text: str) -> None:
    base = "{% block one %}{% endblock %}{% block two %}{% endblock %}"
    parts = "{% block user %}{% block part %}{% endblock %}{% endblock %}"
    write(tmp_path, base=base, parts=parts, recipe__prompt=text)

    assert prompt(tmp_path, topic="Tea", category="recipe")["user"] == "Write."


def test_templates_of_another_handler_are_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path, recipe__md="{% if %}", myprompt="{% if %}")

    assert prompt(tmp_path, topic="Tea", category="recipe")["user"].startswith("Write an article.")
