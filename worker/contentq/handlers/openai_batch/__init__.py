"""The handler `openai-batch`: chat completions that go as batches to an API that is compatible with OpenAI's."""
