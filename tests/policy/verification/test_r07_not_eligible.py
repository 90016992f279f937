"""R07: software and supporting hardware count, nothing else."""

from dataclasses import replace

import pytest

from policy.verification.r07_not_eligible import judge_line
from tests.policy.samples import CLAIM, LINE, law


@pytest.mark.parametrize(
    ("category", "outcome"),
    [
        ("software", "allowed"),
        ("supporting_hardware", "allowed"),
        ("other", "refused"),
        ("soft", "refused"),
        ("", "refused"),
    ],
)
def test_only_named_categories_count(category: str, outcome: str) -> None:
    assert judge_line(CLAIM, replace(LINE, category=category), law()).outcome == outcome
