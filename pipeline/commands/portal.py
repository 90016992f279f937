"""`nplusx portal serve | ingest | user`: the web pages, and who may log in."""

import socket
import sys
from contextlib import suppress
from typing import Annotated

import typer

from kernel.errors import ConfigurationError
from pipeline.console import say
from pipeline.settings import read_settings
from registry.kinds import Role

_SHORTEST_PASSWORD, _LONGEST_PASSWORD, _LONGEST_NAME = 8, 1024, 64
_STOP_SECONDS = 5


def serve() -> None:
    """Serve the portal until told to stop."""
    import uvicorn

    settings = read_settings().portal
    config = uvicorn.Config(
        "portal.app:create_app",
        factory=True,
        # What a proxy says of the caller is not asked for, so it cannot be forged.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    with _listening("PORTAL", settings.host, settings.port) as door, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[door])


def ingest() -> None:
    """Serve the gateway for factories that only reach the web, until told to stop."""
    import uvicorn

    settings = read_settings().ingest
    if (settings.certificate_file is None) != (settings.key_file is None):
        raise ConfigurationError(
            "A certificate needs its key.",
            where="the environment",
            cure="set NPLUSX_INGEST_CERTIFICATE_FILE and NPLUSX_INGEST_KEY_FILE, or neither.",
        )
    config = uvicorn.Config(
        "portal.ingest:create_app",
        factory=True,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_STOP_SECONDS,
        ssl_certfile=settings.certificate_file,
        ssl_keyfile=settings.key_file,
    )
    with _listening("INGEST", settings.host, settings.port) as door, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[door])


def user(
    name: Annotated[str, typer.Argument(help="The name to log in with.")],
    role: Annotated[Role, typer.Option(help="What the user may see.")],
    enterprise: Annotated[
        str, typer.Option(help="Credit code (USCC) of a factory user's enterprise.")
    ] = "",
) -> None:
    """Register a user, or replace role and password; reads the password from prompt or stdin."""
    from kernel.ids import EnterpriseId
    from pipeline import wiring
    from registry.people import User, hash_password, save_user

    settings = read_settings()
    if not name.isprintable() or not 0 < len(name.strip()) == len(name) <= _LONGEST_NAME:
        raise ConfigurationError(
            f"{name!r} is no user name.",
            cure=f"give 1 to {_LONGEST_NAME} characters without spaces around them.",
        )
    if (role == Role.FACTORY) != bool(enterprise):
        raise ConfigurationError(
            "A factory user belongs to one enterprise, any other user to none.",
            where=f"--role {role} --enterprise {enterprise or '(none)'}",
            cure="give --enterprise with --role factory only.",
        )
    if enterprise and enterprise not in wiring.enterprises(settings):
        raise ConfigurationError(
            f"The enterprise {enterprise} is not registered.",
            where="--enterprise",
            cure=f"register it first, with `nplusx registry enterprise {enterprise}`.",
        )
    hashed = hash_password(_password())
    owner = EnterpriseId(enterprise) if enterprise else None
    save_user(wiring.registry(settings), User(name, hashed, role, owner))
    say(f"{name} may log in as {role}.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="The web pages.", no_args_is_help=True)
    for each in (serve, ingest, user):
        group.command()(each)
    app.add_typer(group, name="portal")


def _listening(area: str, host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as refused:
        raise ConfigurationError(
            f"Nobody can listen on {host}, port {port}: {refused}.",
            where=f"NPLUSX_{area}_HOST, NPLUSX_{area}_PORT",
            cure=f"set NPLUSX_{area}_PORT to a free port of this machine, or end that process.",
        ) from refused


def _password() -> str:
    if sys.stdin.isatty():
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise ConfigurationError(
            f"The password has {len(password)} characters.",
            where="standard input",
            cure=f"give {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters.",
        )
    return password
