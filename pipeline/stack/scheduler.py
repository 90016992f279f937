"""The embedded Airflow: four components on SQLite, configured by their environment alone."""

import base64
import secrets
import sys
from dataclasses import dataclass, field
from importlib.metadata import version

from kernel import canonical
from pipeline.settings import ROOT, Settings
from pipeline.stack import processes
from pipeline.stack.layout import Layout, readable_disk_errors
from pipeline.stack.ports import LOOPBACK, Ports
from pipeline.stack.program import Program

USER = "admin"
# The API server ends only when killed; the others need less.
_STOP_SECONDS = 5
# Importing it takes this long before it can find out that it must fail.
_START_SECONDS = 5
# Reading logs from the shared folder needs no log server, and those listen on every interface.
COMPONENTS: dict[str, tuple[str, ...]] = {
    "airflow-api": ("api-server",),
    "airflow-scheduler": ("scheduler", "--skip-serve-logs"),
    "airflow-dag-processor": ("dag-processor",),
    "airflow-triggerer": ("triggerer", "--skip-serve-logs"),
}


@dataclass(frozen=True, slots=True)
class AirflowAccess:
    """How a person or a program reaches Airflow."""

    url: str
    user: str
    password: str = field(repr=False)


def access(layout: Layout, ports: Ports) -> AirflowAccess:
    """Give address and login."""
    return AirflowAccess(f"http://{LOOPBACK}:{ports.airflow}", USER, _password(layout))


def environment(settings: Settings, layout: Layout, ports: Ports) -> dict[str, str]:
    """Configure Airflow."""
    url = f"http://{LOOPBACK}:{ports.airflow}"
    values = {
        "core": {
            "dags_folder": str(ROOT / "dags"),
            "executor": "LocalExecutor",
            "parallelism": str(settings.airflow.parallelism),
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "default_task_retry_delay": "10",
            "fernet_key": layout.secret("airflow_fernet", _fernet_key),
            "execution_api_server_url": f"{url}/execution/",
            "hostname_callable": "socket.gethostname",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(layout.airflow / "passwords.json"),
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{layout.airflow / 'airflow.db'}"},
        "api": {
            "host": LOOPBACK,
            "port": str(ports.airflow),
            "base_url": url,
            "workers": "1",
            "secret_key": layout.secret("airflow_api", _token),
        },
        "api_auth": {"jwt_secret": layout.secret("airflow_jwt", _token)},
        "scheduler": {
            # A killed task or scheduler must not keep a claim waiting for five minutes.
            "task_instance_heartbeat_timeout": "30",
            "orphaned_tasks_check_interval": "20",
        },
        "dag_processor": {"refresh_interval": "10", "min_file_process_interval": "30"},
        "logging": {"base_log_folder": str(layout.logs / "airflow")},
        "openlineage": {"disabled": "True"},
        "usage_data_collection": {"enabled": "False"},
    }
    flat = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": value
        for section, keys in values.items()
        for key, value in keys.items()
    }
    return {
        **flat,
        "AIRFLOW_HOME": str(layout.airflow),
        "OPENLINEAGE_DISABLED": "true",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }


def prepare(layout: Layout, environment: dict[str, str]) -> None:
    """Bring Airflow's database to this release, once."""
    with readable_disk_errors(layout.airflow):
        layout.airflow.mkdir(mode=0o700, exist_ok=True)
    users = canonical.dumps({USER: _password(layout)})
    layout.write_private(layout.airflow / "passwords.json", users)
    migrated = layout.airflow / "migrated"
    release = version("apache-airflow-core")
    if migrated.exists() and migrated.read_text(encoding="utf-8") == release:
        return
    processes.run_once(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        environment,
        layout.log("airflow-migrate"),
    )
    layout.write_private(migrated, release.encode())


def program(name: str, layout: Layout, environment: dict[str, str]) -> Program:
    """Describe a component to the supervisor."""
    return Program(
        name,
        (sys.executable, "-m", "airflow", *COMPONENTS[name]),
        environment,
        layout.airflow,
        start_seconds=_START_SECONDS,
        stop_seconds=_STOP_SECONDS,
    )


def _password(layout: Layout) -> str:
    return layout.secret("airflow_password", lambda: secrets.token_urlsafe(12))


def _token() -> str:
    return secrets.token_hex(64)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
