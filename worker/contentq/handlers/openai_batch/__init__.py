"""The handler `openai-batch`: sends chat completions as batches to an API that is compatible with OpenAI's."""
