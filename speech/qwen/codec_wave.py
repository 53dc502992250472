"""The convolutional half of the 12 Hz codec decoder, one piece at a time: latents in, samples out.

Every convolution of the decoder is causal, so all it needs of the past is the few inputs under its kernel. A
`Tape` carries them: a row of state per stream, read and written by the layers in one fixed order. Nothing is
computed twice, and a row of zeros is a stream that has not begun (upstream pads with zeros).

The weights are `qwen_tts`'s, rearranged once: a transposed convolution whose kernel is twice its stride is an
ordinary causal one of kernel 2 with `stride` times the channels, interleaved afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Place: TypeAlias = Callable[[Tensor], Tensor]  # a weight of upstream's → our own, where and as we compute

_SNAKE_FLOOR: Final = 1e-9  # upstream's guard against a division by zero
_FEW_CHANNELS: Final = 32
# sin²(πt) = Σ aₖ t²ᵏ, k = 1 …: eight terms for |t| ≤ ½
_SQUARED_SINE: Final = tuple(
    (-1) ** (k + 1) * 2 ** (2 * k - 1) * math.pi ** (2 * k) / math.factorial(2 * k) for k in range(1, 9)
)


class Tape:
    """What convolutions remember of the past: float[B, width], consumed front to back, then rewritten."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows
        self._at = 0
        self._kept: list[Tensor] = []

    def recall(self, x: Tensor, context: int) -> Tensor:
        """x: float[B, C, T] → float[B, C, context + T], with the layer's last inputs in front."""
        batch, channels, _ = x.shape
        width = channels * context
        past = self._rows[:, self._at : self._at + width].view(batch, channels, context)
        self._at += width
        joined = torch.cat((past, x), dim=-1)
        self._kept.append(joined[..., -context:].reshape(batch, width))
        return joined

    def rewritten(self) -> Tensor:
        """The rows for the next piece."""
        return torch.cat(self._kept, dim=-1)


class Stage(Protocol):
    """A step of the vocoder. rate: outputs per input. width: of its part of a tape. reach: inputs it looks back."""

    rate: int
    width: int
    reach: int

    def __call__(self, x: Tensor, tape: Tape) -> Tensor: ...


class CausalConv:
    """A stride-1 convolution that sees the present and `reach` inputs before it."""

    rate = 1

    def __init__(self, upstream: Any, place: Place) -> None:
        conv = upstream.conv
        _expect(upstream.stride == 1, "a convolution with a stride")
        self.weight, self.bias = place(conv.weight), place(conv.bias)
        self.dilation, self.groups = int(conv.dilation[0]), int(conv.groups)
        self.reach = (int(conv.kernel_size[0]) - 1) * self.dilation
        self.width = int(conv.in_channels) * self.reach

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        if self.reach:
            x = tape.recall(x, self.reach)
        return convolve(x, self.weight, self.bias, self.dilation, self.groups)


class Upsample:
    """A transposed convolution, as a causal one of kernel size 1 or 2 and an interleaving."""

    def __init__(self, upstream: Any, place: Place) -> None:
        conv = upstream.conv
        self.rate = int(conv.stride[0])
        taps, rest = divmod(int(conv.kernel_size[0]), self.rate)
        _expect(rest == 0 and taps in (1, 2) and conv.groups == 1, "a transposed convolution of another kind")
        inputs, outputs = conv.weight.shape[:2]
        # [in, out, taps · rate] → [out · rate, in, taps], the tap of the newest input last
        weight = place(conv.weight).view(inputs, outputs, taps, self.rate).permute(1, 3, 0, 2).flip(-1)
        self.weight = weight.reshape(outputs * self.rate, inputs, taps).contiguous()
        self.bias = place(conv.bias).repeat_interleave(self.rate)
        self.reach = taps - 1
        self.width = int(inputs) * self.reach

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        batch, _, length = x.shape
        if self.reach:
            x = tape.recall(x, self.reach)
        y = convolve(x, self.weight, self.bias).reshape(batch, -1, self.rate, length)
        # Stacked, and not a transposed view: a compiler would read that one element by element, in every reader.
        return torch.stack(y.unbind(2), dim=-1).reshape(batch, -1, length * self.rate)


class ConvNeXt:
    """Depthwise convolution and a pointwise perceptron (arXiv 2201.03545)."""

    rate = 1

    def __init__(self, upstream: Any, place: Place) -> None:
        self.depthwise = CausalConv(upstream.dwconv, place)
        norm, up, down = upstream.norm, upstream.pwconv1, upstream.pwconv2
        self.norm = (norm.normalized_shape, place(norm.weight), place(norm.bias), norm.eps)
        self.up = (place(up.weight), place(up.bias))
        gamma = place(upstream.gamma)
        self.down = (place(down.weight) * gamma[:, None], place(down.bias) * gamma)
        self.width, self.reach = self.depthwise.width, self.depthwise.reach

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        y = functional.layer_norm(self.depthwise(x, tape).transpose(1, 2), *self.norm)
        y = functional.linear(functional.gelu(functional.linear(y, *self.up)), *self.down)
        return x + y.transpose(1, 2)


class Snake:
    """x + sin²(αx) / β (arXiv 2006.08195), with both exponentials taken once."""

    rate, width, reach = 1, 0, 0

    def __init__(self, upstream: Any, place: Place) -> None:
        self.frequency = place(upstream.alpha.detach().exp())[:, None]
        self.magnitude = place(1.0 / (upstream.beta.detach().exp() + _SNAKE_FLOOR))[:, None]

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        if torch.compiler.is_compiling():  # in one pass, so the library's sine would be half of the time
            return x + self.magnitude * squared_sine(x * self.frequency)
        wave = (x * self.frequency).sin_()
        return torch.addcmul(x, wave.square_(), self.magnitude)


class Residual:
    """Snake, dilated convolution, snake, pointwise convolution, and the way around them."""

    rate = 1

    def __init__(self, upstream: Any, place: Place) -> None:
        self.before, self.between = Snake(upstream.act1, place), Snake(upstream.act2, place)
        self.dilated, self.pointwise = CausalConv(upstream.conv1, place), CausalConv(upstream.conv2, place)
        self.width = self.dilated.width + self.pointwise.width
        self.reach = self.dilated.reach + self.pointwise.reach

    def __call__(self, x: Tensor, tape: Tape) -> Tensor:
        y = self.dilated(self.before(x, tape), tape)
        return x + self.pointwise(self.between(y, tape), tape)


class Vocoder:
    """Latents float[B, latent, T] → samples float[B, T · samples_per_frame], −1…1."""

    def __init__(self, decoder: Any, place: Place) -> None:
        stages: list[Stage] = []
        for upsample, convnext in decoder.upsample:
            stages += [Upsample(upsample, place), ConvNeXt(convnext, place)]
        first, *blocks, snake, last = decoder.decoder
        stages.append(CausalConv(first, place))
        for block in blocks:
            activation, upsample, *residuals = block.block
            stages += [Snake(activation, place), Upsample(upsample, place)]
            stages += [Residual(residual, place) for residual in residuals]
        stages += [Snake(snake, place), CausalConv(last, place)]
        self.stages = tuple(stages)
        self.width = sum(stage.width for stage in stages)
        self.reach = _frames_of_reach(stages)

    def __call__(self, latents: Tensor, tape: Tape) -> Tensor:
        x = latents
        for stage in self.stages:
            x = stage(x, tape)
        return x.squeeze(1).clamp(-1.0, 1.0)


def squared_sine(x: Tensor) -> Tensor:
    """sin², by its period π and its Taylor series, in float32: off by less than 1e-7."""
    turns = x.float() * (1.0 / math.pi)
    left = turns - turns.round()
    square = left * left
    series: Tensor | float = _SQUARED_SINE[-1]
    for factor in reversed(_SQUARED_SINE[:-1]):
        series = series * square + factor
    return (series * square).to(x.dtype)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, dilation: int = 1, groups: int = 1) -> Tensor:
    """`conv1d` without padding: float[B, C, L] → float[B, out, L − (taps − 1) · dilation]."""
    batch, channels, length = x.shape
    outputs, _, taps = weight.shape
    if channels > _FEW_CHANNELS or not x.is_cpu or groups not in (1, channels):
        return functional.conv1d(x, weight, bias, dilation=dilation, groups=groups)
    # On a CPU and for few channels, oneDNN takes two to ten times as long as the plain products.
    kept = length - (taps - 1) * dilation
    windows = x.contiguous().as_strided(
        (channels, taps, batch, kept), (length, dilation, channels * length, 1)
    )
    if groups == 1:
        flat = windows.reshape(channels * taps, batch * kept)
        y = torch.addmm(bias[:, None], weight.view(outputs, -1), flat).view(outputs, batch, kept)
    else:
        y = (windows * weight.view(channels, taps, 1, 1)).sum(1) + bias[:, None, None]
    return y.transpose(0, 1)


def _frames_of_reach(stages: list[Stage]) -> int:
    """How many frames back anything on a tape can come from, walked from the samples to the latents."""
    needed = 0
    for stage in reversed(stages):
        needed = math.ceil(needed / stage.rate) + stage.reach
    return needed


def _expect(found: bool, otherwise: str) -> None:
    if not found:
        raise ValueError(f"this codec decoder has {otherwise}, which the streaming decoder does not know")
