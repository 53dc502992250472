"""The errors of the offline door. A fault of one row is never an exception: it is that row's status and code.

    PipelineError                       narration_error
    ├── ScriptInvalid                   script_invalid   (`faults`: input_unreadable, input_empty, id_missing,
    │                                                     id_duplicate, columns_missing, column_type)
    ├── OutputBusy                      output_busy      (another run writes to this folder)
    ├── ActorsFailed                    engine_unavailable | narration_error   (the stages could not start or go on)
    ├── RowsLost                        rows_lost        (not one result per row: nothing was published)
    └── JobFailed                       job_failed | job_stopped | cluster_unreachable | cluster_unauthenticated

No message holds a text to be spoken.
"""

from __future__ import annotations

from dataclasses import dataclass

from foundation.errors import CodedError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a whole script. `code` is stable; `message` says what to change."""

    code: str
    message: str


class PipelineError(CodedError):
    """Root of every error this package raises on purpose."""

    code = "narration_error"


class ScriptInvalid(PipelineError):
    """The script cannot be narrated as it is; nothing was written and nothing was spent."""

    code = "script_invalid"

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.message for fault in faults), code=faults[0].code)
        self.faults = faults


class OutputBusy(PipelineError):
    """Another run holds the output folder."""

    code = "output_busy"


class ActorsFailed(PipelineError):
    """The actors could not start, or died more often than is tolerated. A re-run goes on from the journal."""


class RowsLost(PipelineError):
    """The results do not match the rows one to one; the journal is kept and nothing was published."""

    code = "rows_lost"


class JobFailed(PipelineError):
    """The Ray job did not end well; the message says how it ended and how to go on."""

    code = "job_failed"
