"""The fault suite breaks things on purpose: do the guarantees of docs/explanation/guarantees.md hold?"""
