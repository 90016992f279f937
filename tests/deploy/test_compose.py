"""The compose file fits its schema, speaks of real settings, and holds no password."""

import hashlib
import re
from pathlib import Path

import jsonschema
import pytest
import yaml  # merge keys, which our own YAML files do not use

from contracts.loader import all_contracts
from kernel import canonical
from pipeline.settings import ROOT, Settings

HERE = Path(__file__).parent
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
VARIABLES = {
    f"NPLUSX_{area}_{key}".upper()
    for area, field in Settings.model_fields.items()
    for key in field.annotation.model_fields
}


def test_the_schema_is_the_one_that_is_noted():
    digest = hashlib.sha256((HERE / "compose_spec.json").read_bytes()).hexdigest()
    assert digest in (HERE / "VENDORED.md").read_text("utf-8")


def test_the_file_fits_the_compose_schema():
    schema = canonical.loads((HERE / "compose_spec.json").read_bytes())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_each_of_our_variables_is_a_setting():
    assert set(re.findall(r"\bNPLUSX_[A-Z_]+", TEXT)) <= VARIABLES


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_services_report_their_health(name):
    service = SERVICES[name]
    assert re.search(r":\d+\.\d+", service["image"])
    assert "latest" not in service["image"]
    assert name.endswith("-init") or "healthcheck" in service


@pytest.mark.parametrize("publisher", sorted({each.publisher for each in all_contracts().values()}))
def test_each_publisher_of_a_contract_has_an_agent(publisher):
    """Claims reach the bus as a factory's rows do: somebody must publish them."""
    service = SERVICES[f"agent-{publisher}"]
    *command, file = service["command"]
    assert command == ["nplusx", "agent", "run"]
    variable = f"COUNTY_{publisher}_AGENT_FILE".upper()
    assert f"${{{variable}:?set it in .env}}:{file}:ro" in service["volumes"]
    assert variable in TEXT.split("x-platform:")[0], "the head of the file lists what .env needs"


def test_the_authority_s_agent_reads_the_registry_where_the_dag_publish_watches_it():
    service, watcher = SERVICES["agent-authority"], SERVICES["airflow-scheduler"]
    assert service["environment"]["NPLUSX_REGISTRY_URL"]
    assert service["volumes"] == watcher["volumes"]
    folder = Path(watcher["environment"]["NPLUSX_STATE_DIR"], "agents")
    assert Path(service["command"][-1]).parent == folder


def test_every_secret_comes_from_outside():
    secret = re.compile(r"PASSWORD|SECRET|KEY$|_KEY_ID$|FERNET")
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if secret.search(key) and not key.endswith("_FILE"):
                assert value.startswith("${COUNTY_"), f"{name}: {key} holds a value"
    assert not re.search(r"\$\{[A-Z_]+:-", TEXT), "a secret must have no default"


def test_ports_are_published_on_loopback_only():
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_volumes_and_mounted_files_exist():
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file(), source
            elif not source.startswith("$"):
                assert source in COMPOSE["volumes"], source


@pytest.mark.parametrize("file", ["deploy/Dockerfile", "deploy/agent.Dockerfile"])
def test_images_install_from_the_lock_with_hashes(file):
    text = (ROOT / file).read_text("utf-8")
    assert "--require-hashes" in text
    for source in re.findall(r"^COPY (.+) \S+$", text, flags=re.MULTILINE):
        assert all((ROOT / part).exists() for part in source.split()), source


def test_the_edge_lock_is_light_and_agrees_with_the_lock():
    def pins(name: str) -> set[str]:
        return set(
            re.findall(r"^[a-z0-9-]+==[^ ;\\]+", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        )

    edge = pins("requirements-edge.lock")
    assert edge
    assert edge <= pins("requirements.lock")
    heavy = ("apache-airflow", "great-expectations", "pandas==", "deltalake")
    assert not [pin for pin in edge if pin.startswith(heavy)]
