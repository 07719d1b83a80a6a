"""How servers advertised as compatible with OpenAI's answer: streams and errors as documented or as reported by
users.

The texts are ours; nothing was recorded from a server. Each server has an answer, a refusal, a limit, an outage, a
cut and a filter, and its own variants. Tests send them through a socket (tests/handlers/test_vendors.py) and
mutate them at random (test_mutated_answers.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from contentq.errors import HandlerError, PermanentError, ProviderUnavailable, RateLimited, TemporaryError

ARTICLE = "# Tea\n\nHot, and black, and in a cup.\n"
PIECES = ["# Tea\n", "\nHot, and", " black, and", " in a cup.\n"]
THOUGHT = "Which tea? Black, I think."
USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """A server's response to one call, and the correct interpretation."""

    body: str
    becomes: type[HandlerError] | None = None
    """None means ARTICLE."""

    said: str = ""
    """Part of the message."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False
    """Whether the connection is cut after the body."""

    tokens: tuple[int, int] | None = (30, 12)
    """Tokens of prompt and completion.

    None if the server does not report them; they are then estimated if the model has begun.
    """

    thought: str = ""
    wait: float | None = None
    """Seconds named by a refusal."""

    about: str | None = None
    """The kind of a permanent error, as about() returns it."""

    settings: str = ""
    """A setting without which the server does not answer like this."""

    @property
    def has_begun(self) -> bool:
        """Whether the model has sent any text."""
        return any(json.dumps(said)[1:-1] in self.body for said in (PIECES[0], THOUGHT[:10], "would "))


def piece(delta: Any = None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A piece of a streamed answer. `choice` has members of the choice; the others are at the top level."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish_reason, **more.pop("choice", {})}
    if delta is not None:
        choice["delta"] = delta
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "choices": [choice], **more}


def events(*chunks: Any, end: str = "data: [DONE]\n\n") -> str:
    """A stream: each piece becomes the data of an event, and a text is sent unchanged."""
    return "".join(each if isinstance(each, str) else f"data: {json.dumps(each)}\n\n" for each in chunks) + end


def texts(**more: Any) -> list[dict[str, Any]]:
    """The pieces of the article."""
    return [piece({"content": text}, **more) for text in PIECES]


def whole(content: Any = ARTICLE, finish_reason: str | None = "stop", **more: Any) -> str:
    """An unstreamed answer."""
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": USAGE, **more})


def error(message: str, **members: Any) -> str:
    """An error in OpenAI's format."""
    return json.dumps({"error": {"message": message, "type": None, "param": None, "code": None, **members}})


def in_stream(text: str, *before: Any) -> str:
    """An error in the stream after these pieces."""
    return events(*before, f"data: {text}\n\n", end="")


ROLE = piece({"role": "assistant", "content": ""})
STOP = piece({}, "stop")
COUNT = {"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
CUT = Reply(
    events(ROLE, *texts()[:2], end=""), ProviderUnavailable, "interrupted the answer", is_cut=True, tokens=None
)
GATEWAY = Reply(
    "<html><head><title>502 Bad Gateway</title></head></html>",
    ProviderUnavailable,
    "answered 502: 502 Bad Gateway",
    status=502,
    headers={"content-type": "text/html"},
)


def _openai() -> dict[str, Reply]:
    padding = [piece({"content": text}, usage=None, obfuscation="xY3", service_tier="default") for text in PIECES]
    refusal = [piece({"refusal": text}) for text in ("I would ", "rather not.")]
    return {
        "answer": Reply(events(ROLE, *padding, STOP, COUNT)),
        "refusal": Reply(
            events(ROLE, *refusal, STOP, COUNT),
            PermanentError,
            "the model refused: I would rather",
            about="filtered",
        ),
        "limit": Reply(
            error("Limit reached on requests per min. Please try again in 6.5s.", code="rate_limit_exceeded"),
            RateLimited,
            "answered 429: Limit reached",
            status=429,
            wait=6.5,
        ),
        "outage": Reply(
            error("Overloaded.", type="server_error"), ProviderUnavailable, "answered 503", status=503
        ),
        "cut": CUT,
        "filter": Reply(
            events(ROLE, *texts()[:2], piece({}, "content_filter"), COUNT),
            PermanentError,
            "content filter stopped the answer",
            about="filtered",
        ),
        "parameter": Reply(
            error(
                "'max_tokens' is not supported with this model.", param="max_tokens", code="unsupported_parameter"
            ),
            PermanentError,
            'rename = {max_tokens = "max_completion_tokens"}',
            status=400,
            settings="max_tokens = 500\nrename = {max_tokens = 'max_tokens'}",
        ),
        "temperature": Reply(
            error("'temperature' does not support 0.7 with this model.", param="temperature"),
            PermanentError,
            'leave_out = ["temperature"]',
            status=400,
            settings="temperature = 0.7",
        ),
        "streaming": Reply(
            error("Your organization must be verified to stream this model.", param="stream"),
            PermanentError,
            'leave_out = ["stream"]',
            status=400,
        ),
        "error in the stream": Reply(
            in_stream(error("We had an error while answering.", type="server_error"), ROLE, *texts()[:2]),
            TemporaryError,
            "interrupted the answer: We had an error",
            tokens=None,
        ),
        "money": Reply(
            error("No quota left.", code="insufficient_quota", type="insufficient_quota"),
            RateLimited,
            "no credit is left",
            status=429,
            wait=300,
        ),
        "context": Reply(
            error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
            PermanentError,
            "answered 400",
            status=400,
            about="context",
        ),
        "length": Reply(
            events(ROLE, *texts()[:2], piece({}, "length"), COUNT), TemporaryError, "the answer was cut off"
        ),
        "usage with the end": Reply(events(ROLE, *texts(), piece({}, "stop", usage=USAGE))),
        "whole": Reply(whole(), headers={"content-type": JSON}, settings="leave_out = ['stream']"),
    }


def _azure() -> dict[str, Reply]:
    results = {"hate": {"filtered": False, "severity": "safe"}}
    prompt = {
        "id": "",
        "object": "",
        "choices": [],
        "prompt_filter_results": [{"content_filter_results": results}],
    }
    offsets = {"content_filter_offsets": {"check_offset": 44}, "content_filter_results": results}
    note = {**piece(choice=offsets), "id": "", "object": "", "model": "", "created": 0}
    first, *others = texts(choice={"content_filter_results": results})
    blocked = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    return {
        "answer": Reply(events(prompt, ROLE, first, note, *others, STOP, note, COUNT)),
        "refusal": Reply(
            error("The API deployment for this resource does not exist.", code="DeploymentNotFound"),
            PermanentError,
            "check model and base_url",
            status=404,
            about="unknown",
        ),
        "limit": Reply(
            error("Requests have exceeded the call rate limit. Please retry after 26 seconds.", code="429"),
            RateLimited,
            status=429,
            wait=26,
        ),
        "outage": Reply(
            error("The service cannot be reached now.", code="InternalServerError"),
            ProviderUnavailable,
            status=500,
        ),
        "cut": Reply(
            events(prompt, ROLE, first, note, end=""),
            ProviderUnavailable,
            "interrupted the answer",
            is_cut=True,
            tokens=None,
        ),
        "filter": Reply(
            error("The prompt was filtered.", code="content_filter", status=400, innererror=blocked),
            PermanentError,
            "the content filter refuses it",
            status=400,
            about="filtered",
        ),
        "filter of the answer": Reply(
            events(prompt, ROLE, first, piece(None, "content_filter", choice=offsets), COUNT),
            PermanentError,
            "content filter stopped the answer",
            about="filtered",
        ),
        "null delta": Reply(events(prompt, ROLE, first, piece(choice={"delta": None}), *others, STOP, COUNT)),
    }


def _openrouter() -> dict[str, Reply]:
    processing = ": OPENROUTER PROCESSING\n\n"
    details = [{"type": "reasoning.text", "text": THOUGHT, "format": "unknown"}]
    thought = piece({"role": "assistant", "content": "", "reasoning": THOUGHT, "reasoning_details": details})
    stop = piece({"content": ""}, "stop", choice={"native_finish_reason": "STOP"})
    count = {**piece({"content": ""}), "usage": {**USAGE, "cost": 0.00012, "cost_details": {}}}
    reset = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1741305600000"}
    return {
        "answer": Reply(
            events(processing, processing, thought, *texts(provider="Novita"), stop, count), thought=THOUGHT
        ),
        "refusal": Reply(
            events(processing, piece({"content": "", "refusal": "I would rather not."}), stop, count),
            PermanentError,
            "the model refused",
            about="filtered",
        ),
        "limit": Reply(
            error("Rate limit exceeded: free-models-per-min.", code=429, metadata={"headers": reset}),
            RateLimited,
            status=429,
            headers={"date": "Thu, 06 Mar 2025 23:59:45 GMT"},
            wait=15,
        ),
        "outage": Reply(
            events(
                processing,
                *texts()[:2],
                {
                    **piece({"content": ""}, "error"),
                    "error": {"code": 502, "message": "Provider disconnected"},
                },
            ),
            ProviderUnavailable,
            "interrupted the answer: Provider disconnected",
            tokens=None,
        ),
        "cut": CUT,
        "filter": Reply(
            error(
                "The model requires moderation, and your input was flagged.",
                code=403,
                metadata={"reasons": ["violence"], "flagged_input": "knife", "provider_name": "OpenAI"},
            ),
            PermanentError,
            "the content filter refuses it",
            status=403,
            about="filtered",
        ),
        "limit of the provider behind it": Reply(
            error(
                "Provider returned error",
                code=429,
                metadata={"raw": "x/y is temporarily rate-limited, retry shortly", "provider_name": "Chutes"},
            ),
            RateLimited,
            "Provider returned error: x/y is temporarily",
            headers={"content-type": JSON},
            tokens=None,
        ),
        "error in an answer": Reply(
            json.dumps({**json.loads(whole(None)), "error": {"code": 429, "message": "Provider returned error"}}),
            RateLimited,
            headers={"content-type": JSON},
        ),
        "money": Reply(
            error("Insufficient credits.", code=402), RateLimited, "no credit is left", status=402, wait=300
        ),
        "comment in data": Reply(
            events("data: : OPENROUTER PROCESSING\n\n", ROLE, *texts(), "data:\n\n", "data: \n\n", stop, count)
        ),
    }


def _mistral() -> dict[str, Reply]:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]} for text in THOUGHT.split("? ")]
    parts = [piece({"content": [part]}) for part in thinking]
    reference = piece({"content": [{"type": "reference", "reference_ids": [1, 2]}]})
    first, *others = texts()
    text = piece({"content": [{"type": "text", "text": first["choices"][0]["delta"]["content"]}]})
    stop = piece({"content": ""}, "stop", usage=USAGE)
    extra = {"type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"], "msg": "Not permitted"}
    return {
        "answer": Reply(events(ROLE, *parts, text, reference, *others, stop), thought=THOUGHT.replace("? ", "")),
        "refusal": Reply(
            json.dumps({"object": "error", "message": {"detail": [extra]}, "type": "invalid_request_error"}),
            PermanentError,
            'leave_out = ["stream_options"]',
            status=422,
        ),
        "limit": Reply(
            json.dumps(
                {"object": "error", "message": "Capacity exceeded", "type": "rate_limited", "code": "3505"}
            ),
            RateLimited,
            "Capacity exceeded",
            status=429,
            headers={"retry-after": "4"},
            wait=4,
        ),
        "outage": Reply(
            json.dumps({"object": "error", "message": "Service unavailable", "code": "3000"}),
            ProviderUnavailable,
            status=503,
        ),
        "cut": CUT,
        "filter": Reply(
            events(ROLE, first, piece({"content": ""}, "content_filter", usage=USAGE)),
            PermanentError,
            "content filter",
            about="filtered",
        ),
        "whole": Reply(whole([*thinking, {"type": "text", "text": ARTICLE}]), thought=THOUGHT.replace("? ", "")),
        "error at the end": Reply(
            events(ROLE, first, piece({"content": ""}, "error")),
            TemporaryError,
            "ended the answer with an error",
            tokens=None,
        ),
        "length": Reply(
            events(ROLE, first, piece({"content": ""}, "model_length", usage=USAGE)),
            TemporaryError,
            "the answer was cut off",
        ),
    }


def _gemini() -> dict[str, Reply]:
    counted = [{**each, "usage": {**USAGE, "completion_tokens": number}} for number, each in enumerate(texts(), 3)]
    # The completion excludes reasoning tokens; the total includes them.
    last = piece({}, "stop", usage={"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 42})
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.5s"}
    quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaValue": "10"}]}

    def said(code: int, message: str, status: str, *details: Any) -> str:
        return json.dumps([{"error": {"code": code, "message": message, "status": status, "details": details}}])

    return {
        "answer": Reply(events(*counted, last)),
        "refusal": Reply(
            said(400, "API key not valid.", "INVALID_ARGUMENT"),
            PermanentError,
            "answered 400: API key",
            status=400,
        ),
        "limit": Reply(
            said(429, "You exceeded your quota.", "RESOURCE_EXHAUSTED", quota, info),
            RateLimited,
            "answered 429: You exceeded",
            status=429,
            wait=36.5,
        ),
        "outage": Reply(
            said(503, "The model is under high demand.", "UNAVAILABLE"), ProviderUnavailable, status=503
        ),
        "cut": Reply(
            events(*counted[:2], end=""),
            ProviderUnavailable,
            "interrupted the answer",
            is_cut=True,
            tokens=(30, 12),
        ),
        "filter": Reply(
            events(counted[0], piece({}, "content_filter: PROHIBITED_CONTENT", usage=USAGE)),
            PermanentError,
            "content filter stopped the answer (finish_reason content_filter: PROHIBITED_CONTENT)",
            about="filtered",
        ),
        "nothing at all": Reply(events(), TemporaryError, "the answer was empty", tokens=None),
        "thoughts in the text": Reply(
            events(
                piece({"content": f"<thought>{THOUGHT}"}), piece({"content": "</thought>"}), *texts(), STOP, COUNT
            ),
            thought=THOUGHT,
        ),
        "limit in the stream": Reply(
            in_stream(json.dumps({"error": {"code": 429, "message": "No.", "status": "RESOURCE_EXHAUSTED"}})),
            RateLimited,
            tokens=None,
        ),
        "limit in words": Reply(
            said(429, "Quota exceeded. Please retry in 36.183s.", "RESOURCE_EXHAUSTED"),
            RateLimited,
            status=429,
            wait=36.183,
        ),
        "error in a message": Reply(
            error(json.dumps({"error": {"details": [info]}}, indent=1), code=429, status="Too Many Requests"),
            RateLimited,
            status=429,
            wait=36.5,
        ),
    }


def _deepseek() -> dict[str, Reply]:
    alive = ": keep-alive\n\n"
    thoughts = [piece({"content": None, "reasoning_content": text}) for text in (THOUGHT[:10], THOUGHT[10:])]
    answer = [piece({"content": text, "reasoning_content": None}) for text in PIECES]
    return {
        "answer": Reply(
            events(alive * 3, ROLE, *thoughts, *answer, piece({"content": ""}, "stop", usage=USAGE)),
            thought=THOUGHT,
        ),
        "refusal": Reply(
            error("Authentication fails.", type="authentication_error", code="invalid_request_error"),
            PermanentError,
            "check OPENAI_API_KEY",
            status=401,
        ),
        "limit": Reply(error("Too fast.", code="rate_limit_error"), RateLimited, status=429),
        "outage": Reply(
            events(ROLE, *thoughts, piece({"content": ""}, "insufficient_system_resource")),
            ProviderUnavailable,
            "ended the answer with an error",
            tokens=None,
        ),
        "cut": Reply(
            events(alive, ROLE, *thoughts, end=""),
            ProviderUnavailable,
            "interrupted the answer",
            tokens=None,
        ),
        "filter": Reply(
            error("Content Exists Risk", type="invalid_request_error", code="invalid_request_error"),
            PermanentError,
            "answered 400: Content Exists Risk",
            status=400,
        ),
        "money": Reply(
            error("Insufficient Balance", type="unknown_error", code="invalid_request_error"),
            RateLimited,
            "no credit is left",
            status=402,
            wait=300,
        ),
        "whole after blank lines": Reply(
            "\n\n\n\n" + whole(message={"reasoning_content": THOUGHT}), thought=THOUGHT
        ),
        "thoughts alone": Reply(
            events(ROLE, *thoughts, STOP, COUNT),
            TemporaryError,
            "the answer was empty: the model thought, and wrote",
        ),
    }


def _vllm() -> dict[str, Reply]:
    closed = [piece({"content": text}) for text in (f"{THOUGHT}\n", "</th", "ink>\n\n")]
    opened = [piece({"content": text}) for text in ("<think>", THOUGHT)]
    usage = [{**each, "usage": {**USAGE, "completion_tokens": number}} for number, each in enumerate(texts(), 1)]

    def said(message: str, kind: str, code: int) -> str:
        return json.dumps({"object": "error", "message": message, "type": kind, "param": None, "code": code})

    return {
        "answer": Reply(events(ROLE, *closed, *texts(), STOP, COUNT), thought=THOUGHT),
        "refusal": Reply(
            said("System role not supported", "BadRequestError", 400),
            PermanentError,
            'system_role = "user"',
            status=400,
        ),
        "limit": Reply(said("Too many requests.", "RateLimitError", 429), RateLimited, status=429),
        "outage": GATEWAY,
        "cut": CUT,
        "filter": Reply(
            events(ROLE, *opened, STOP, COUNT),
            TemporaryError,
            "the answer was empty: the model thought, and did not",
        ),
        "no chat": Reply(
            said("The model `x` does not exist.", "NotFoundError", 404),
            PermanentError,
            status=404,
            about="unknown",
        ),
        "context": Reply(
            said("This model's maximum context length is 4096 tokens.", "BadRequestError", 400),
            PermanentError,
            status=400,
            about="context",
        ),
        "error in the stream": Reply(
            in_stream(said("Engine loop is not running.", "InternalServerError", 500), ROLE, *texts()[:1]),
            TemporaryError,
            "interrupted the answer: Engine loop",
            tokens=None,
        ),
        "usage in each piece": Reply(events(ROLE, *usage, piece({}, "stop", usage=USAGE))),
        "field reasoning": Reply(
            events(ROLE, piece({"reasoning": THOUGHT, "reasoning_content": THOUGHT}), *texts(), STOP, COUNT),
            thought=THOUGHT,
        ),
        "aborted": Reply(
            events(ROLE, *texts(), piece({}, "abort"), COUNT), TemporaryError, "the answer was not finished"
        ),
    }


def _llamacpp() -> dict[str, Reply]:
    first = piece({"role": "assistant", "content": None})
    timings = {"timings": {"prompt_n": 30, "predicted_n": 12}}

    def said(code: int, message: str, kind: str) -> str:
        return json.dumps({"error": {"code": code, "message": message, "type": kind}})

    return {
        "answer": Reply(events(first, *texts(), STOP, {**COUNT, **timings}, end="data: [DONE]\n")),
        "refusal": Reply(
            said(400, "The request exceeds the available context size.", "exceed_context_size_error"),
            PermanentError,
            status=400,
            about="context",
        ),
        "limit": Reply(
            said(503, "No slot is free.", "unavailable_error"), ProviderUnavailable, "answered 503", status=503
        ),
        "outage": Reply(said(503, "Loading model", "unavailable_error"), ProviderUnavailable, status=503),
        "cut": CUT,
        "filter": Reply(
            said(500, "Jinja Exception: System role not supported", "server_error"),
            ProviderUnavailable,
            'system_role = "user"',
            status=500,
        ),
        "error without data": Reply(
            events(
                first,
                f"error: {json.dumps({'code': 400, 'message': 'The context is full.', 'type': 'x'})}\n\n",
            ),
            PermanentError,
            "interrupted the answer: The context is full.",
            tokens=None,
        ),
        "error in an event": Reply(
            in_stream(said(500, "It failed to decode.", "server_error"), first, *texts()[:2]),
            TemporaryError,
            "It failed to decode.",
            tokens=None,
        ),
        "no usage": Reply(events(first, *texts(), STOP), tokens=None),
    }


def _ollama() -> dict[str, Reply]:
    answer = [piece({"role": "assistant", "content": text}, "") for text in PIECES]
    stop = piece({"role": "assistant", "content": ""}, "stop")
    return {
        "answer": Reply(events(*answer, stop, COUNT)),
        "refusal": Reply(
            error('model "x" not found, try pulling it first', type="api_error"),
            PermanentError,
            "check model and base_url",
            status=404,
            about="unknown",
        ),
        "limit": Reply(
            error("server busy, too many pending requests", type="api_error"), ProviderUnavailable, status=503
        ),
        "outage": Reply(error("llama runner has terminated", type="api_error"), ProviderUnavailable, status=500),
        "cut": CUT,
        "filter": Reply(
            events(*answer[:2], '{"error":"the model has stopped with an error"}\n', end=""),
            TemporaryError,
            "interrupted the answer: the model has stopped",
            tokens=None,
        ),
        "thinking": Reply(
            events(piece({"role": "assistant", "content": "", "reasoning": THOUGHT}), *answer, stop, COUNT),
            thought=THOUGHT,
        ),
        "lines of JSON": Reply(
            "\n".join(json.dumps(each) for each in (*answer, stop, COUNT)),
            headers={"content-type": "application/x-ndjson"},
        ),
    }


def _lmstudio() -> dict[str, Reply]:
    broken = (
        'event: error\ndata: {"error":{"message":"Error rendering prompt: only user and assistant roles"}}\n\n'
    )
    return {
        "answer": Reply(events(*texts(logprobs=None, system_fingerprint="x"), STOP, COUNT)),
        "refusal": Reply(
            '{"error":"The prompt has more tokens than the context length of the model."}',
            PermanentError,
            "answered 400: The prompt has more tokens",
            status=400,
            about="context",
        ),
        "limit": Reply('{"error":"Too many requests."}', RateLimited, status=429),
        "outage": Reply(
            '{"error":"Model unloaded."}', ProviderUnavailable, "answered 500: Model unloaded.", status=500
        ),
        "cut": CUT,
        "filter": Reply(events(broken, end=""), TemporaryError, 'system_role = "user"', tokens=None),
        "error as text": Reply(
            events(*texts()[:1], 'event: error\ndata: {"error":"The model has crashed."}\n\n', end=""),
            TemporaryError,
            "interrupted the answer: The model has crashed.",
            tokens=None,
        ),
        "unknown endpoint": Reply(
            '{"error":"Unexpected endpoint or method. (POST /chat/completions)"}',
            TemporaryError,
            "Unexpected endpoint",
            headers={"content-type": JSON},
            tokens=None,
        ),
    }


def _litellm() -> dict[str, Reply]:
    # The index is not always 0, and null members are omitted.
    answer = [
        {"object": "chat.completion.chunk", "choices": [{"index": 1, "delta": {"content": t}}]} for t in PIECES
    ]
    return {
        "answer": Reply(events(*answer, STOP, COUNT)),
        "refusal": Reply(
            error("litellm.ContextWindowExceededError: too long", type="ContextWindowExceededError", code="400"),
            PermanentError,
            status=400,
            about="context",
        ),
        "limit": Reply(
            error("litellm.RateLimitError: no deployment is available. Try again in 60 seconds.", code="429"),
            RateLimited,
            status=429,
            wait=60,
        ),
        "outage": Reply(
            in_stream(error("litellm.ServiceUnavailableError", code="503"), *answer[:2]),
            ProviderUnavailable,
            tokens=None,
        ),
        "cut": Reply(
            events(*answer, end=""), ProviderUnavailable, "before the answer did", is_cut=False, tokens=None
        ),
        "filter": Reply(
            error("litellm.ContentPolicyViolationError", type="ContentPolicyViolationError", code="400"),
            PermanentError,
            "the content filter refuses it",
            status=400,
            about="filtered",
        ),
        "limit in the stream": Reply(
            in_stream(error("litellm.RateLimitError", type="throttling_error", code="429")) + "data: [DONE]\n\n",
            RateLimited,
            tokens=None,
        ),
        "no finish reason": Reply(events(*answer, {**COUNT})),
        "budget": Reply(
            error("The budget of this key is used up.", type="budget_exceeded", code="400"),
            RateLimited,
            "no credit is left",
            status=400,
            wait=300,
        ),
        "nothing at all": Reply(
            events(ROLE), TemporaryError, "the answer was empty (finish_reason done)", tokens=None
        ),
    }


def _others() -> dict[str, Reply]:
    """Variants of a single server."""
    harmony = f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>"
    last = piece(choice={"message": {"role": "assistant", "content": ARTICLE}}, finish_reason="stop", usage=USAGE)
    return {
        "moonshot": Reply(events(ROLE, *texts(), piece({}, "stop", choice={"usage": USAGE}))),
        "groq": Reply(events(ROLE, *texts(), piece({}, "stop", x_groq={"id": "1", "usage": USAGE}))),
        "minimax": Reply(events(*texts(), last)),
        "anthropic": Reply(
            events('event: ping\ndata: {"type": "ping"}\n\n', ROLE, *texts(), STOP, COUNT),
        ),
        "anthropic-outage": Reply(
            events('event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n', end=""),
            ProviderUnavailable,
            tokens=None,
        ),
        "sglang": Reply(
            events(piece({"content": harmony}), *texts(), STOP, COUNT),
            thought=THOUGHT,
        ),
        "xai": Reply(
            events(ROLE, *texts(), STOP, {**COUNT, "usage": {**USAGE, "completion_tokens": 2}}),
        ),
        "thoughts-in-between": Reply(
            events(ROLE, *texts(), piece({"content": f"\n<think>\n{THOUGHT}"}), STOP, COUNT),
            TemporaryError,
            "the answer was empty: the model thought, and did not come to an end",
        ),
        "lines-without-an-end": Reply(
            "\n".join(json.dumps(each) for each in texts()),
            ProviderUnavailable,
            "before the answer did",
            tokens=None,
        ),
        "a-piece-alone": Reply(json.dumps(texts()[0]), ProviderUnavailable, "before the answer did", tokens=None),
        "end-in-each-piece": Reply(events(ROLE, *[piece({"content": text}, "stop") for text in PIECES], COUNT)),
        "end-in-each-piece-cut": Reply(
            events(ROLE, *[piece({"content": text}, "stop") for text in PIECES[:3]], end=""),
            ProviderUnavailable,
            "interrupted the answer",
            is_cut=True,
            tokens=None,
        ),
        "filter-of-the-whole": Reply(
            in_stream(error("A guardrail has found something.", code="400"), ROLE, *texts(), STOP, COUNT),
            PermanentError,
            "interrupted the answer: A guardrail",
        ),
        "names": Reply(
            events(ROLE, *texts(), STOP, {**COUNT, "usage": {"input_tokens": 30, "output_tokens": 12}}),
        ),
        "windows": Reply(events(ROLE, *texts(), STOP, COUNT).replace("\n\n", "\r\n\r\n")),
        "page": Reply(
            "<html><body>Sign in</body></html>",
            TemporaryError,
            "text/html instead of a stream; the base URL usually ends with /v1",
            headers={"content-type": "text/html"},
            tokens=None,
        ),
        "json-without-choices": Reply(
            '{"message": "no such route", "code": 5}', TemporaryError, "no such route", tokens=None
        ),
    }


VENDORS: dict[str, dict[str, Reply]] = {
    "openai": _openai(),
    "azure": _azure(),
    "openrouter": _openrouter(),
    "mistral": _mistral(),
    "gemini": _gemini(),
    "deepseek": _deepseek(),
    "vllm": _vllm(),
    "llama.cpp": _llamacpp(),
    "ollama": _ollama(),
    "lmstudio": _lmstudio(),
    "litellm": _litellm(),
    "others": _others(),
}

KINDS = ("answer", "refusal", "limit", "outage", "cut", "filter")
"""The required responses of each server; `others` has none."""
