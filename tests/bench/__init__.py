"""`make bench`: what contentq reaches, beside what PostgreSQL itself reaches in the same run.

A module a family of figures, each with its list of measurements; `catalogue` has them all.
Some need Linux's /proc.
"""
