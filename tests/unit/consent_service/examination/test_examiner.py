"""What an enrolment's examination lets through, leaves to a reviewer, and turns away."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consent_service.config import ConsentConfig
from consent_service.errors import Conflict, ExaminationUnavailable, RecordingRejected
from consent_service.examination.challenge.purposes import SAID, said
from consent_service.examination.challenge.sentences import STATEMENT, sentence
from consent_service.examination.challenge.words import CHALLENGE_WORDS, WORDS, draw
from consent_service.examination.config import ExaminationConfig
from consent_service.examination.examiner import Examiner
from consent_service.examination.marks import KnownMarks
from consent_service.examination.process import ExaminerProcess
from consent_service.examination.recordings import read_recording
from consent_service.examination.speaker import Resemblyzer, judge
from consent_service.examination.spoken import compare
from consent_service.models import Challenge, EnrolmentAnswer
from consent_service.policy.languages import LANGUAGES
from consent_service.policy.purposes import PURPOSES
from tests.assets.installation import UNEXAMINED, Installation, Tenant
from tests.assets.voiced import voiced

MARKS = (sys.executable, str(Path("tests/assets/mark_examiner.py").absolute()))


class Scored(ExaminerProcess):
    """A speaker model at the edge of the world: it answers what the test says."""

    def __init__(self, score: float) -> None:
        super().__init__(("never started",), ExaminationConfig())
        self.score = score

    def ask(self, request: Any, recordings: Any) -> dict[str, Any]:
        return {"score": self.score, "least": self.score, "model": "a model", "model_sha256": "ab" * 32}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    config = UNEXAMINED.model_copy(update={"marks": MARKS})
    data_dir = tmp_path_factory.mktemp("examined") / "data"
    installation = Installation.create(ConsentConfig(data_dir=data_dir, examination=config))
    yield installation.tenant()
    installation.close()


def begin(world: Tenant) -> Challenge:
    return world.service.voices.begin_enrolment(
        world.admin,
        name="V",
        language="en",
        grantee="studio",
        purpose="narration",
        subject_name="Mary Exemplar",
    )


def complete(world: Tenant, challenge: Challenge, **changes: bytes) -> str:
    recordings = {"reference": voiced(4.0), "statement": voiced(3.5, hertz=181.0), **changes}
    answer = EnrolmentAnswer(transcript="as said", **recordings)
    return world.service.voices.complete_enrolment(world.admin, challenge.enrolment_id, answer).state


def test_the_models_start_while_the_person_reads(house: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()
    monkeypatch.setattr(ExaminerProcess, "warm_up", lambda _: started.set())
    begin(house)
    assert started.wait(60)


# the challenge -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_drawn_words_are_many_short_and_different(language: str) -> None:
    words = WORDS[language]
    assert len(words) == len(set(words)) == 64
    longest = CHALLENGE_WORDS * max(map(len, words)) + CHALLENGE_WORDS - 1
    assert longest <= 64, "the ledger's column"
    assert all(word.isalpha() for word in words)
    drawn = [draw(language).split() for _ in range(20)]
    assert all(len(set(nonce)) == CHALLENGE_WORDS and set(nonce) <= set(words) for nonce in drawn)
    assert len({" ".join(nonce) for nonce in drawn}) == 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_purpose_is_said_in_every_language(language: str) -> None:
    assert set(SAID) == set(STATEMENT) == set(LANGUAGES)
    assert all(SAID[language].get(purpose) for purpose in PURPOSES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sentence_word_for_word_is_spoken_and_yesterday_s_is_not(language: str) -> None:
    today, yesterday = " ".join(WORDS[language][:4]), " ".join(WORDS[language][10:14])
    asked = {"subject": "Mary Exemplar", "grantee": "Northwind Studio", "purpose": "narration.audiobook"}
    right = compare(
        language, purpose="narration.audiobook", nonce=today, heard=sentence(language, **asked, nonce=today)
    )
    assert right.is_spoken
    assert (right.error_rate, right.words_heard) == (0.0, 4)
    wrong = compare(
        language,
        purpose="narration.audiobook",
        nonce=today,
        heard=sentence(language, **asked, nonce=yesterday),
    )
    assert not wrong.is_spoken
    assert wrong.words_heard == 0


@pytest.mark.parametrize(
    "heard",
    [
        "",
        "river candle monday orange",
        "my words are river candle monday orange",
        "the sun had not yet risen and the sea was river candle monday orange",
        "i am mary i know that the studio will use recordings of my voice to make a synthetic version of it for "
        "narration my words are orange monday candle river",
        "i am mary i know that the studio will use recordings of my voice to make a synthetic version of it for "
        "narration my words are river candle",
    ],
)
def test_half_a_sentence_is_not_the_sentence(heard: str) -> None:
    assert not compare("en", purpose="narration", nonce="river candle monday orange", heard=heard).is_spoken


def test_a_name_may_be_heard_as_anything() -> None:
    heard = (
        "I am very exam player. I know that north win studios limited will use recordings of my voice to make a "
        "synthetic version of it for narration, my words are river, candle, monday, arrange."
    )
    assert compare("en", purpose="narration", nonce="river candle monday orange", heard=heard).is_spoken


# the speaker ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("least", [-0.2, 0.3, 0.6199, float("nan")])
def test_a_part_that_is_somebody_elses_is_a_doubt_whatever_the_average_says(least: float) -> None:
    assert judge(0.97, least) == "doubtful"


@pytest.mark.parametrize(
    ("score", "outcome"),
    [(1.0, "same"), (0.75, "same"), (0.7499, "doubtful"), (0.64, "doubtful"), (0.6399, "different"),
     (-1.0, "different"), (math.nan, "different")],
)  # fmt: skip
def test_the_line_between_one_speaker_and_two(score: float, outcome: str) -> None:
    assert judge(score, 1.0) == outcome
    check, recording = Resemblyzer(Scored(score)), read_recording(voiced(4.0))
    if outcome == "different":
        with pytest.raises(RecordingRejected) as refused:
            check.compare(recording, recording)
        assert refused.value.code == "speaker_mismatch"
        assert str(score) not in refused.value.message
        return
    found = check.compare(recording, recording)
    assert found.evidence["outcome"] == outcome
    assert (found.evidence["same_from"], found.evidence["doubtful_from"]) == (0.75, 0.64)
    assert found.evidence["model_sha256"] == "ab" * 32
    assert found.doubt == ("" if outcome == "same" else "speaker_doubtful")


# what follows --------------------------------------------------------------------------------------------------------
def test_without_automatic_checks_the_evidence_says_so_and_a_reviewer_decides(house: Tenant) -> None:
    challenge = begin(house)
    assert complete(house, challenge) == "review"
    evidence = house.service.voices.under_review(house.reviewer, challenge.voice_id).evidence
    assert evidence["speaker"] == {"outcome": "not compared"}
    assert evidence["transcript"] == {"outcome": "not checked", "check": "human"}
    assert evidence["marks"] == {"outcome": "none found", "presence": [0.01, 0.01]}
    assert evidence["doubts"] == ["speaker_not_compared", "challenge_not_checked"]


@pytest.mark.parametrize("part", ["reference", "statement"])
def test_a_marked_recording_is_turned_away_for_good_and_leaves_nothing(house: Tenant, part: str) -> None:
    challenge = begin(house)
    with pytest.raises(RecordingRejected) as refused:
        complete(house, challenge, **{part: voiced(4.0, hertz=190.0) + b"MARK:presence_mark;"})
    assert refused.value.code == "recording_synthetic"
    with pytest.raises(Conflict) as again:
        complete(house, challenge)
    assert again.value.code == "enrolment_completed"
    assert house.service.voices.get(house.admin, challenge.voice_id).state == "refused"
    assert house.log()[-1]["kind"] == "voice.enrolment_rejected"
    assert house.log()[-1]["code"] == "recording_synthetic"
    assert not (house.data_dir / "vault" / "acme" / challenge.voice_id).exists()


def test_an_examiner_that_can_not_be_asked_enrols_nobody_and_the_challenge_stays_open(tmp_path: Path) -> None:
    broken = UNEXAMINED.model_copy(update={"marks": ("/nowhere/examiner",)})
    world = Installation.create(tmp_path / "data").tenant()
    challenge = begin(world)
    known = KnownMarks(world.service.keys.trust_anchor(), {})
    vars(world.service._examiner).update(vars(Examiner(broken, lambda: known)))
    with pytest.raises(ExaminationUnavailable):
        complete(world, challenge)
    assert world.service.voices.get(world.admin, challenge.voice_id).state == "enrolling"
    vars(world.service._examiner).update(vars(Examiner(UNEXAMINED, lambda: known)))
    assert complete(world, challenge) == "review"
    world.service.close()


def test_nobody_is_enrolled_without_a_reviewer_while_anything_is_in_doubt(tmp_path: Path) -> None:
    """Also where the configuration spares the reviewer: nobody compared, nobody heard, nobody looked."""
    examination = UNEXAMINED.model_copy(update={"review": "when_doubtful"})
    world = Installation.create(ConsentConfig(data_dir=tmp_path / "data", examination=examination)).tenant()
    assert complete(world, begin(world)) == "review"
    world.service.close()


def test_with_nothing_in_doubt_the_configuration_may_spare_the_reviewer(
    house: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    examiner = house.service._examiner
    monkeypatch.setattr(examiner, "_speaker", Resemblyzer(Scored(0.9)))
    monkeypatch.setattr(examiner, "_transcript", Spoken())
    assert complete(house, begin(house)) == "review", "by default always a person"
    monkeypatch.setattr(examiner, "_config", ExaminationConfig(review="when_doubtful"))
    challenge = begin(house)
    assert complete(house, challenge) == "active"
    monkeypatch.setattr(examiner, "_speaker", Resemblyzer(Scored(0.7)))
    assert complete(house, begin(house)) == "review"
    entry = next(e for e in house.log() if e["kind"] == "voice.enrolled" and e["voice"] == challenge.voice_id)
    assert (entry["review"], entry["doubts"]) == (False, [])


class Spoken:
    """A recogniser at the edge of the world."""

    def check(self, asked: Any, statement: Any) -> Any:
        from consent_service.examination.transcript import concluded

        return concluded(asked, asked.sentence, by="a recogniser")


def test_the_evidence_holds_no_name_no_words_and_no_embedding(house: Tenant) -> None:
    challenge = begin(house)
    complete(house, challenge)
    evidence = json.dumps(house.service.voices.under_review(house.reviewer, challenge.voice_id).evidence)
    for word in ("Mary", *challenge.sentence.split("are: ")[1].rstrip(".").split(", ")):
        assert word not in evidence
    assert len(evidence) < 1500


def test_the_service_starts_without_a_model() -> None:
    heavy = ("torch", "resemblyzer", "pocketsphinx", "librosa")
    program = f"import sys, consent_service.service; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "wrong", [{"transcript": "http"}, {"marks": []}, {"review": "never"}, {"speaker": ""}]
)
def test_a_configuration_that_asks_for_nothing_sensible_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ExaminationConfig.model_validate(wrong)


def test_a_further_statement_that_is_marked_is_turned_away_and_can_not_be_sent_again(tmp_path: Path) -> None:
    examination = UNEXAMINED.model_copy(update={"marks": MARKS})
    world = Installation.create(ConsentConfig(data_dir=tmp_path / "data", examination=examination)).tenant()
    voice_id = world.voice.voice_id
    asked = world.service.voices.begin_statement(world.admin, voice_id, grantee="studio", purpose="dubbing")
    marked = voiced(3.5) + b"MARK:presence_mark;"
    with pytest.raises(RecordingRejected):
        world.service.voices.complete_statement(world.admin, asked.enrolment_id, statement=marked)
    with pytest.raises(Conflict):
        world.service.voices.complete_statement(world.admin, asked.enrolment_id, statement=voiced(3.5))
    assert world.log()[-1]["code"] == "recording_synthetic"
    assert world.service.voices.get(world.admin, voice_id).state == "active"
    world.service.close()


def test_a_purpose_without_a_phrase_of_its_own_is_said_after_the_one_above_it() -> None:
    assert said("en", "narration.bedtime_stories") == f"{said('en', 'narration')}, bedtime stories"
