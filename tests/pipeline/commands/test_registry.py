"""`nplusx registry` as a platform engineer runs it."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import structlog
import yaml

from kernel import canonical
from kernel.ids import EnterpriseId, KeyId, uscc_check_character
from pipeline import wiring
from pipeline.settings import read_settings
from registry import claims, people
from registry.database import Registry
from tests.flow.bad_input.command import Done, Shell
from tests.registry.samples import ACCEPTANCE, LINE, LISTING, PROJECT, USCC

NINE = "2024-06-01T09:00:00+08:00"


@pytest.fixture
def nplusx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    monkeypatch.setenv("NPLUSX_STATE_DIR", str(tmp_path / "state"))
    yield Shell(monkeypatch, capsys)
    structlog.reset_defaults()


@pytest.fixture
def registry(nplusx: Shell) -> Registry:
    return wiring.registry(read_settings())


def enterprise(nplusx: Shell, uscc: str = USCC, region: str = "330523", *more: str) -> Done:
    given = ("--name", "安吉某家具有限公司", "--region", region, "--kind", "factory")
    return nplusx("registry", "enterprise", uscc, *given, *more)


def key_of(nplusx: Shell, folder: Path, *more: str) -> KeyId:
    """Register the factory, its agent and a new key of it; give the key's id."""
    assert enterprise(nplusx).code == 0
    assert nplusx("registry", "agent", "u8-pc", "--enterprise", USCC).code == 0
    made = nplusx("agent", "key", str(folder / "u8-pc.key"))
    done = nplusx("registry", "key", "u8-pc", str(folder / "u8-pc.key.pub"), *more)
    assert done.code == 0, done
    identity = made.out.splitlines()[0].split()[-1]
    assert identity in done.out
    return KeyId(identity)


def test_a_factory_is_known_after_three_commands(
    nplusx: Shell, registry: Registry, tmp_path: Path
) -> None:
    identity = key_of(nplusx, tmp_path, "--from", NINE)
    key = wiring.keys(read_settings())[identity]
    assert (key.agent, key.enterprise) == ("u8-pc", USCC)
    assert key.valid_from.isoformat() == "2024-06-01T01:00:00+00:00"
    known = people.enterprises(registry)[USCC]
    assert (known.kind, known.region_code, known.accepts_unsigned) == ("factory", "330523", False)
    assert enterprise(nplusx, USCC, "330523", "--accepts-unsigned").code == 0
    assert people.enterprises(registry)[USCC].accepts_unsigned


def test_the_list_shows_who_speaks_for_whom(nplusx: Shell, tmp_path: Path) -> None:
    identity = key_of(nplusx, tmp_path, "--from", NINE)
    assert nplusx("registry", "agent", "mes-pc", "--enterprise", USCC).code == 0
    lines = nplusx("registry", "list").out.splitlines()
    assert f"{USCC}\t安吉某家具有限公司\tfactory\t330523\tFalse" in lines
    assert f"u8-pc\t{USCC}\t{identity}\t2024-06-01T01:00:00+00:00\t\t" in lines
    assert f"mes-pc\t{USCC}\t\t\t\t" in lines
    found = canonical.loads(nplusx("registry", "list", "--json").out)
    assert found["agents"] == {"mes-pc": USCC, "u8-pc": USCC}
    assert [each["key_id"] for each in found["keys"]] == [identity]
    assert [each["uscc"] for each in found["enterprises"]] == [USCC]


@pytest.mark.parametrize(("verb", "field"), [("end", "valid_to"), ("revoke", "revoked_at")])
def test_a_key_is_ended_or_revoked_at_an_instant(
    nplusx: Shell, tmp_path: Path, verb: str, field: str
) -> None:
    identity = key_of(nplusx, tmp_path)
    done = nplusx("registry", verb, identity, "--at", NINE)
    assert f"{field}\t2024-06-01T01:00:00+00:00" in done.out
    ended = getattr(wiring.keys(read_settings())[identity], field)
    assert ended.isoformat() == "2024-06-01T01:00:00+00:00"


@pytest.mark.parametrize("verb", ["end", "revoke"])
def test_an_unknown_key_says_where_keys_are_listed(nplusx: Shell, verb: str) -> None:
    nplusx("registry", verb, "00").failed(2, "There is no key 00", "`nplusx registry list`")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2024-06-01T09:00:00", "has no time zone"),
        ("2024-06-01", "has no time zone"),
        ("0001-01-01T00:00:00+08:00", "no instant"),
        ("soon", "no instant"),
    ],
)
def test_an_instant_that_could_mean_two_is_refused(
    nplusx: Shell, tmp_path: Path, text: str, says: str
) -> None:
    identity = key_of(nplusx, tmp_path)
    nplusx("registry", "end", identity, "--at", text).failed(2, says, "--at", "+08:00")
    words = ("registry", "key", "u8-pc", str(tmp_path / "u8-pc.key.pub"), "--from", text)
    nplusx(*words).failed(2, says, "--from")
    assert wiring.keys(read_settings())[identity].valid_to is None


def test_who_is_wrong_or_unknown_is_named(nplusx: Shell, tmp_path: Path) -> None:
    enterprise(nplusx, USCC[:-1] + "X").failed(2, "not a unified social credit code", "18")
    enterprise(nplusx, USCC, "Anji").failed(2, "'Anji' is no region code", "330523")
    words = ("registry", "agent", "u8-pc", "--enterprise", USCC)
    nplusx(*words).failed(2, "is not registered", f"`nplusx registry enterprise {USCC}`")
    assert enterprise(nplusx).code == 0
    nplusx("registry", "agent", "U8 PC", "--enterprise", USCC).failed(2, "not a name for agent")
    assert nplusx("agent", "key", str(tmp_path / "a.key")).code == 0
    public = tmp_path / "a.key.pub"
    words = ("registry", "key", "u8-pc", str(public))
    nplusx(*words).failed(2, "is not registered", "`nplusx registry agent u8-pc --enterprise USCC`")
    public.write_text("xx", "utf-8")
    nplusx(*words).failed(2, "not a public key", str(public))
    public.unlink()
    nplusx(*words).failed(2, "cannot be read", "`nplusx agent key`")


def dossier(**changes: object) -> str:
    """Write what a county filed as its file holds it."""
    plain = canonical.loads(
        canonical.dumps(
            {
                "listings": [asdict(LISTING)],
                "projects": [asdict(PROJECT)],
                "claim_lines": [{**asdict(LINE), **changes}],
                "acceptances": [asdict(ACCEPTANCE)],
            }
        )
    )
    return str(yaml.safe_dump(plain, allow_unicode=True))


def test_a_dossier_is_entered_once_and_corrected_where_it_differs(
    nplusx: Shell, registry: Registry, tmp_path: Path
) -> None:
    assert enterprise(nplusx).code == 0
    file = tmp_path / "dossier.yaml"
    file.write_text(dossier(), "utf-8")
    assert "4 of 4 entries" in nplusx("registry", "import", str(file)).out
    assert claims.claim_lines(registry) == (LINE,)
    assert claims.acceptances(registry) == (ACCEPTANCE,)
    # What stands already keeps its time: nothing is published or judged again.
    assert "0 of 4 entries" in nplusx("registry", "import", str(file)).out
    file.write_text(dossier(net_cny="99999.99"), "utf-8")
    assert "1 of 4 entries" in nplusx("registry", "import", str(file)).out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"net_cny": "many"}, "claim_lines.0.net_cny"),
        ({"net_cny": "0.001"}, "no amount in yuan and fen"),
        ({"invoice_no": 2433200000000000001}, "claim_lines.0.invoice_no"),
        ({"colour": "red"}, "claim_lines.0.colour"),
        ({"project_id": "none"}, "enter first what it names"),
    ],
)
def test_a_wrong_dossier_is_named_by_its_field(
    nplusx: Shell, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    assert enterprise(nplusx).code == 0
    file = tmp_path / "dossier.yaml"
    file.write_text(dossier(**changes), "utf-8")
    nplusx("registry", "import", str(file)).failed(2, says)


def test_a_project_of_an_unknown_enterprise_is_refused(nplusx: Shell, tmp_path: Path) -> None:
    file = tmp_path / "dossier.yaml"
    file.write_text(dossier(), "utf-8")
    nplusx("registry", "import", str(file)).failed(2, "enter first what it names")


def test_the_codes_of_authorities_are_checked_too(nplusx: Shell, registry: Registry) -> None:
    first = "11330523MB1900001"
    uscc = EnterpriseId(first + uscc_check_character(first))
    given = ("--name", "某县经信局", "--region", "330523", "--kind", "authority")
    assert nplusx("registry", "enterprise", uscc, *given).code == 0
    assert people.enterprises(registry)[uscc].kind is people.EnterpriseKind.AUTHORITY
    assert nplusx("registry", "enterprise", uscc, *given[:-1], "leader").code == 2
