"""What a model is told about this server."""

TEXT = """\
ChronoTick gives trusted time: UTC with an interval that holds it.

Read the time, never produce it. Your own sense of the date and the time is not a source, and neither are file dates,
logs or the system clock. Whenever you write, compare, schedule or claim a time, call a tool first and copy its value.

- `now` gives the time. Copy `utc` or `utc_ns` as they are; never round, shift or complete them. Nanoseconds are
  strings: keep them so.
- Every time is an interval. Two events are in order only when `compare` says BEFORE or AFTER; AMBIGUOUS means that no
  one can tell, so do not guess.
- For a record that others must believe use `stamp`, hand on its token unchanged, and check tokens with `verify`. A time
  without a token is a claim.
- To act at or after an instant use `wait_until`; do not count or estimate.
- When a tool answers with an error there is no trusted time: say so, follow its `mend`, and do not substitute one. The
  `timestamp` in an error is not a time to use.
"""
