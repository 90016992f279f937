"""Presets: to be in the folder is to be registered; each fits its contracts."""

from pathlib import Path

import pytest

from connectors.registry import all_connectors, find, read_preset
from contracts.loader import all_contracts
from kernel.errors import ConfigurationError


def test_every_stream_claims_a_contract_and_its_version() -> None:
    assert set(all_connectors()) >= {"nplusx_registry", "yonyou_u8"}
    for preset in all_connectors().values():
        for plan in preset.streams:
            contract = all_contracts()[plan.contract]
            # A later minor version adds optional columns only: the preset still serves it.
            claimed, current = (_numbers(each.version) for each in (plan, contract))
            assert claimed[0] == current[0]
            assert claimed <= current
            for column in contract.properties:
                if column.required:
                    assert column.name in plan.mapping


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"nplusx_registry, .*yonyou_u8"):
        find("kingdee")


def test_a_preset_of_an_unknown_kind_names_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(
        "title: {zh: 怪, en: odd}\nkind: telepathy\nproof: none\nstreams: []\n", "utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"use one of .*sql"):
        read_preset(path)


def test_a_preset_with_a_key_too_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("title: {zh: 怪, en: odd, fr: x}\nkind: sql\nproof: x\nstreams: []\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"title\.fr"):
        read_preset(path)
