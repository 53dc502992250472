"""What may be written down of an error that nobody foresaw: its type and its place, never its message.

A message may quote what was being worked on: a text, a name, a token, a recording's bytes. So do the lines of a
traceback. Neither belongs in a log, an answer or a status column.
"""

from __future__ import annotations


def type_and_place(error: BaseException) -> str:
    """`KeyError at serve_app.gate:57`: the module and line that raised it; `KeyError` where it was never raised."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" at {trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"
