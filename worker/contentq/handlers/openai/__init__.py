"""The handler `openai`: chat completions of any API that is compatible with OpenAI's."""
