"""A mapping that copies what is different is, to who reads it, the dict that copies everything."""

from __future__ import annotations

from random import Random

import pytest

from chronomig.state.overlay import MANY, SMALL, Overlay, forked


@pytest.mark.parametrize("seed", range(5))
def test_forks_read_like_copies_of_a_dict_and_leave_each_other_alone(seed: int) -> None:
    rng = Random(seed)
    first = {number: str(number) for number in range(2 * SMALL)}
    kept = [(first, dict(first))]
    for step in range(4 * MANY):
        ours, plain = kept[rng.randrange(len(kept))]
        ours, plain = forked(ours), dict(plain)
        for _ in range(rng.randrange(4)):
            key = rng.choice([*plain, 10_000 + step])
            if rng.random() < 0.1 and key in plain:
                del ours[key], plain[key]
            else:
                ours[key] = plain[key] = f"{key} {step}"
        kept.append((ours, plain))
    assert any(isinstance(ours, Overlay) for ours, _ in kept)
    for ours, plain in kept:
        assert list(ours.items()) == list(plain.items())
        assert (len(ours), ours.get("no"), "no" in ours) == (len(plain), None, False)
        with pytest.raises(KeyError):
            del forked(ours)["no"]


def test_few_entries_are_copied() -> None:
    assert type(forked({1: 2})) is dict
