"""The fault suite breaks things on purpose to verify the guarantees of docs/explanation/guarantees.md."""
