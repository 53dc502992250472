"""How many requests at a time fit into a memory: reckoned from a model's shape before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from speech.qwen.shape import Shape

POSITIONS: Final = 2048  # of a slot: reference, text and frames of one segment (20 s of speech may take 63 s)
MOST_SLOTS: Final = 256
_WORKSPACE: Final = 0.06  # of the memory: activations, library handles, fragmentation
_BOOKKEEPING: Final = 93  # bytes of counters, seeds and sampling parameters in a slot


@dataclass(frozen=True, slots=True)
class Plan:
    """Bytes, and how many slots they make. headroom: what is left when all slots are allocated."""

    memory: int
    weights: int
    slot: int
    workspace: int
    slots: int

    @property
    def headroom(self) -> int:
        return self.memory - self.weights - self.workspace - self.slots * self.slot


def plan(
    memory_bytes: int,
    fraction: float,
    shape: Shape,
    *,
    positions: int = POSITIONS,
    value_bytes: int = 2,
    other_weights_bytes: int = 0,
    codec_slot_bytes: int = 0,
) -> Plan:
    """For `fraction` of a device's memory. value_bytes: 2 in bfloat16, 4 in float32.

    other_weights_bytes: codec and speaker encoder. Raises MemoryError when not one slot fits.
    """
    memory = int(memory_bytes * fraction)
    weights = shape.weights * value_bytes + other_weights_bytes
    workspace = int(memory * _WORKSPACE)
    slot = slot_bytes(shape, positions, value_bytes) + codec_slot_bytes
    slots = min(MOST_SLOTS, (memory - weights - workspace) // slot)
    if slots < 1:
        needed = (weights + slot) / (1 - _WORKSPACE)
        raise MemoryError(
            f"the model needs {needed / 1e9:.1f} GB for one request at a time, and has {memory / 1e9:.1f} GB; "
            "raise memory_fraction, or configure the smaller checkpoint"
        )
    return Plan(memory, weights, slot, workspace, slots)


def slot_bytes(shape: Shape, positions: int, value_bytes: int) -> int:
    """What one slot's buffers take, without the codec's."""
    values = (
        shape.talker.position_values * positions
        + shape.predictor.position_values * shape.groups
        + shape.talker.hidden * (positions + 1)
    )
    return values * value_bytes + shape.vocabulary + _BOOKKEEPING
