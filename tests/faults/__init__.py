"""The fault suite: breaks things on purpose and looks whether the guarantees of docs/guarantees.md hold."""
