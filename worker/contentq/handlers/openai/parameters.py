"""Builds the body of a call: common parameters, and those that the settings add, omit or rename."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contentq.handlers.openai.client import Endpoint
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.settings import OpenAISettings


def body_of_call(messages: Sequence[Message], settings: OpenAISettings, at: Endpoint) -> dict[str, Any]:
    """The parameters to send.

    Some models accept no temperature, some servers do not know stream_options, and so on. The settings leave_out,
    rename and system_role adapt the body.
    """
    sent: dict[str, Any] = {
        "model": settings.model,
        "messages": with_role(messages, settings.system_role),
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
    }
    left_out = {*settings.leave_out, *(("stream_options",) if "stream" in settings.leave_out else ())}
    names: dict[str, str] = {"max_tokens": at.max_tokens_parameter}
    names.update({str(name): new for name, new in settings.rename.items()})
    return {
        names.get(name, name): value for name, value in sent.items() if value is not None and name not in left_out
    }


def with_role(messages: Sequence[Message], role: str) -> list[Message]:
    """The messages, with this role in place of `system`.

    With `user`, the system text is prepended to the user's message.
    """
    if role == "user" and len(messages) > 1 and messages[0]["role"] == "system":
        system, user, *others = messages
        return [{"role": "user", "content": f"{system['content']}\n\n{user['content']}"}, *others]
    return [{**message, "role": role} if message["role"] == "system" else message for message in messages]


def setting_for(said: str, settings: OpenAISettings, at: Endpoint) -> str | None:
    """The setting that removes or changes the parameter named in a refusal; None if the refusal names none."""
    said = said.lower()
    if "stream_options" in said or "include_usage" in said:
        return 'leave it out with leave_out = ["stream_options"] in the settings'
    if "temperature" in said:
        advice = 'leave it out with leave_out = ["temperature"] in the settings'
        return f"{advice}, or set another temperature" if settings.temperature is not None else None
    if settings.max_tokens is not None and _names(
        said, "max_completion_tokens", "max_tokens", "max_output_tokens"
    ):
        sent = settings.rename.get("max_tokens", at.max_tokens_parameter)
        other = "max_tokens" if sent == "max_completion_tokens" else "max_completion_tokens"
        return (
            f'it was sent as {sent}: send it under another name with rename = {{max_tokens = "{other}"}}, leave '
            'it out with leave_out = ["max_tokens"], or set another max_tokens'
        )
    if _names(said, "system", "developer") and _names(said, "role", "message", "instruction"):
        return 'send it otherwise with system_role = "user" (or "developer", "system") in the settings'
    if _names(said, "user and assistant role", "roles must alternate"):
        return 'send the system message as the user\'s with system_role = "user" in the settings'
    if _names(said, "to stream", "streaming", "'stream'", '"stream"', "stream is not", "stream mode"):
        return 'ask for the answer as a whole with leave_out = ["stream"] in the settings'
    return None


def _names(said: str, *words: str) -> bool:
    return any(word in said for word in words)
