"""`vouch say`: one clip through the same gates as everything else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from provenance.formats.catalogue import FORMATS
from provenance.formats.delivery import delivery
from provenance.labels.spoken import disclaimed
from provenance.profiles.profile import load_profile
from serve_app.clips.service import Clip, ClipRequest
from serve_app.wiring import in_process
from speech.errors import SpeakerUnknown
from speech.text import prepare
from synthesis.voice import Design, LedgerVoice, Preset, VoiceRef, find_voice
from vouch.commands.lexicon import LexiconFile, read_lexicon
from vouch.commands.options import AudioFormat, Disclaimer, Json, Language, Loudness, SampleRate
from vouch.home import open_home
from vouch.output import Failed, emit, err, reporting
from vouch.retrying import awaited

_TRIES: Final = 10
_FINAL: Final = frozenset({"engine_unavailable"})  # the engine of this process


def say(
    text: Annotated[str, typer.Argument(help="What to say.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write; its ending names the format.")
    ],
    voice: Annotated[
        str | None, typer.Option(help="A voice id or a preset speaker; default: the first preset.")
    ] = None,
    language: Language = "en",
    instruct: Annotated[
        str, typer.Option(help="Style; without --voice and with this, a designed voice.")
    ] = "",
    purpose: Annotated[str, typer.Option(help="What the clip is for.")] = "narration",
    consent_token: Annotated[
        str | None, typer.Option(envvar="VOUCH_CONSENT_TOKEN", help="Default: the key's own binding.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="The same seed and text give the same clip; default: from the request."),
    ] = None,
    audio_format: AudioFormat = "",
    sample_rate: SampleRate = None,
    loudness: Loudness = None,
    disclaimer: Disclaimer = False,
    lexicon: LexiconFile = None,
    as_json: Json = False,
) -> None:
    """Say TEXT into a file: consent, synthesis, watermark and manifest, in this process."""
    with reporting(as_json=as_json), open_home() as home:
        # Before a grant is used up on a clip that could not be kept.
        if not output.absolute().parent.is_dir():
            raise Failed("not_found", f"no such folder: {output.absolute().parent}")
        wanted = delivery(audio_format or _format_of(output), sample_rate, loudness)
        utterance = prepare(
            text,
            language,
            instruct,
            lexicon=read_lexicon(lexicon),
            max_characters=home.config.ingress.max_text_characters,
        )

        spoken = load_profile(home.config.consent.disclosure_profile).spoken(
            utterance.language, asked=disclaimer
        )
        utterance = replace(utterance, text=disclaimed(utterance.text, spoken))

        def tell(line: str) -> None:
            if not as_json:
                err.print(line, markup=False)

        async def make() -> Clip:
            if not as_json:
                err.print(f"speaking with the {home.config.engine.name} engine …", markup=False)
            async with in_process(home.config, home.service) as context:
                info = await context.clips.engine_info()
                found = _voice(voice, instruct, info.speakers)
                key = home.api_key("narrator")
                request = ClipRequest(key, found, utterance, purpose, consent_token, seed, delivery=wanted)
                return await awaited(
                    lambda: context.clips.create_clip(request), tell, tries=_TRIES, final=_FINAL
                )

        clip = asyncio.run(make())
        output.write_bytes(clip.audio)
        if clip.manifest is not None:
            output.with_name(f"{output.name}.c2pa").write_bytes(clip.manifest)
        result = {
            "file": str(output),
            "clip_id": clip.clip_id,
            "seconds": round(clip.seconds, 3),
            "cached": clip.cached,
        }
        emit(result, as_json=as_json, human=f"{output}: {clip.seconds:.1f} s, clip {clip.clip_id}")


def _format_of(output: Path) -> str:
    """By the file's ending; WAV for one that names no format."""
    by_ending = {FORMATS[name].extension: name for name in (*FORMATS, "wav")}
    return by_ending.get(output.suffix.lower(), "wav")


def _voice(voice: str | None, instruct: str, speakers: tuple[str, ...]) -> VoiceRef:
    if voice is None:
        return Design() if instruct else Preset(speakers[0])
    found = find_voice(voice, speakers)
    if isinstance(found, LedgerVoice) and not voice.startswith("voice_"):
        raise SpeakerUnknown(
            f"no preset speaker of that name; choose one of {', '.join(speakers)}, or the id of a voice (voice_…)"
        )
    return found
