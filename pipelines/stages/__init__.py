"""The three stages of a row, as plain classes: consent · synthesize · stamp. No Ray here.

Each takes values and gives values; an exception of one row becomes that row's status. Samples pass from
Synthesize to Stamp inside one process and go nowhere else.
"""

from pipelines.stages.consent import Consent
from pipelines.stages.stamp import Stamp
from pipelines.stages.synthesize import Synthesize

__all__ = ["Consent", "Stamp", "Synthesize"]
