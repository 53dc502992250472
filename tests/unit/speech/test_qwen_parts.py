"""The prompt cache of the Qwen engine."""

from __future__ import annotations

from speech.qwen.prompts import PromptCache, PromptKey


def key(voice: str, epoch: int = 0, reference: str = "r", tenant: str = "t") -> PromptKey:
    return PromptKey(tenant, voice, epoch, reference)


def kept(prompts: PromptCache[str], wanted: PromptKey) -> str | None:
    return prompts.use(wanted, lambda prompt: prompt)


def cache(size: int = 2) -> tuple[PromptCache[str], list[str]]:
    erased: list[str] = []
    return PromptCache(size, erased.append), erased


def never() -> bool:
    return False


def test_the_least_used_prompt_goes_first_and_is_erased() -> None:
    prompts, erased = cache(2)
    for voice in "ab":
        prompts.put(key(voice), f"prompt {voice}", unless=never)
    assert kept(prompts, key("a")) == "prompt a"
    prompts.put(key("c"), "prompt c", unless=never)
    assert erased == ["prompt b"]
    assert kept(prompts, key("b")) is None
    assert kept(prompts, key("a")) == "prompt a"


def test_epoch_and_reference_are_part_of_the_key() -> None:
    prompts, _ = cache()
    prompts.put(key("a", 1, "r"), "prompt", unless=never)
    assert kept(prompts, key("a", 2, "r")) is None
    assert kept(prompts, key("a", 1, "other")) is None
    assert kept(prompts, key("b", 1, "r")) is None
    assert kept(prompts, key("a", 1, "r", tenant="another")) is None


def test_a_new_epoch_drops_the_old_ones_of_its_tenants_voice_alone() -> None:
    prompts, erased = cache(4)
    for tenant in ("one", "other"):
        prompts.put(key("a", 1, tenant=tenant), tenant, unless=never)
    prompts.put(key("a", 2, tenant="one"), "newer", unless=never)
    assert erased == ["one"]
    assert kept(prompts, key("a", 1, tenant="other")) == "other"


def test_dropping_a_voice_erases_all_of_it_and_nothing_else() -> None:
    prompts, erased = cache(4)
    for voice, reference in (("a", "1"), ("a", "2"), ("b", "1")):
        prompts.put(key(voice, 0, reference), f"{voice}{reference}", unless=never)
    prompts.drop_voice("a")
    assert sorted(erased) == ["a1", "a2"]
    assert kept(prompts, key("b", 0, "1")) == "b1"
    prompts.clear()
    assert len(prompts) == 0
    assert "b1" in erased


def test_a_voice_cancelled_while_its_prompt_was_made_keeps_none() -> None:
    prompts, _ = cache()
    prompts.put(key("a"), "prompt", unless=lambda: True)
    assert len(prompts) == 0


def test_a_cache_of_size_zero_keeps_nothing() -> None:
    prompts, _ = cache(0)
    prompts.put(key("a"), "prompt", unless=never)
    assert len(prompts) == 0
