"""`make bench`: measures contentq next to PostgreSQL's own limits in the same run.

Each module measures one family of figures and lists its measurements; `catalogue` has them all. Some need Linux's
/proc.
"""
