"""A Singer tap as a child process: its lines, bounded; its complaints, without secrets."""

import os
import re
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import IO

from connectors.singer import guard
from kernel import canonical
from kernel.errors import ConfigurationError, DependencyUnavailableError
from kernel.log import logger

_CHUNK = 1 << 20
_TOLD_LINES, _LINE_CHARACTERS = 20, 500
_SHOWN_LINES = 4
_NOT_FOUND = 127
# How a setting is called whose value nobody else may see, wherever a tap repeats it.
_SECRET = re.compile(r"(?i)pass|pwd|secret|token|key|credential|auth|dsn")
_IN_ADDRESS = re.compile(r"://[^/\s@]*?:([^/\s@]+)@")
_LEAST_SECRET = 3


@dataclass(frozen=True, slots=True)
class Tap:
    """A program that speaks Singer, and where folders of its private files may stand."""

    command: tuple[str, ...]
    config: Mapping[str, object]
    environment: Mapping[str, str]
    memory: Path
    where: str
    silence_seconds: int
    line_bytes: int
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def lines(self, **files: object) -> Generator[bytes]:
        """Run it with these files as options, and give what it prints, line by line.

        An option without a file stands by itself. It runs no longer than it is listened to.
        """
        said: deque[str] = deque(maxlen=_TOLD_LINES)
        with self._private(files) as (folder, options), self._running(folder, options) as process:
            yield from self._listen(process, said)
            try:
                code = process.wait(self.silence_seconds)
            except subprocess.TimeoutExpired:
                raise self._silent(said) from None
        told = [self._bare(each) for each in said]
        logger("singer").info("tap ended", code=code, said=told)
        if code:
            raise self._failed(code, told)

    def _listen(self, process: "subprocess.Popen[bytes]", said: deque[str]) -> Iterator[bytes]:
        """Read both of its outputs; while nobody asks for lines, it waits."""
        out, errors = _Lines(), _Lines()
        with selectors.DefaultSelector() as ready:
            ready.register(_open(process.stdout), selectors.EVENT_READ, out)
            ready.register(_open(process.stderr), selectors.EVENT_READ, errors)
            while ready.get_map():
                if not (events := ready.select(self.silence_seconds)):
                    raise self._silent(said)
                for key, _ in events:
                    if not (chunk := os.read(key.fd, _CHUNK)):
                        ready.unregister(key.fileobj)
                    elif key.data is out:
                        yield from out.of(chunk)
                    else:
                        _note(errors.of(chunk), said)
                if max(out.size, errors.size) > self.line_bytes:
                    raise self._endless()
        yield from out.of(b"\n")
        _note(errors.of(b"\n"), said)

    @contextmanager
    def _private(self, files: Mapping[str, object]) -> Iterator[tuple[Path, list[str]]]:
        """Write files that only this user reads, and remove them in the end."""
        options = []
        try:
            self.memory.mkdir(parents=True, exist_ok=True)
            folder = Path(mkdtemp(prefix="tap-", dir=self.memory))
            for name, content in {"config": self.config, **files}.items():
                options.append(f"--{name}")
                if content is not None:
                    path = folder / f"{name}.json"
                    options.append(str(path))
                    path.touch(mode=0o600)
                    path.write_bytes(canonical.dumps(content))
        except OSError as failed:
            raise DependencyUnavailableError(
                f"The files of the tap cannot be written: {failed.strerror}.",
                where=str(self.memory),
                cure="make room on the disk, or let the agent's user write there.",
            ) from failed
        try:
            yield folder, options
        finally:
            rmtree(folder, ignore_errors=True)

    @contextmanager
    def _running(self, folder: Path, options: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
        # What other sources need of the environment is none of its business.
        environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            **self.environment,
        }
        # Its guard needs nothing but Python itself, and starts in a moment so.
        program = (sys.executable, "-I", "-S", guard.__file__, str(folder))
        with subprocess.Popen(
            [*program, *self.command, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=folder, env=environment, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                _open(process.stdin).close()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(2 * guard.GRACE_SECONDS)
                process.kill()

    def _bare(self, text: str) -> str:
        for each in self.secrets:
            text = text.replace(each, "***")
        return _IN_ADDRESS.sub("://***@", text)

    def _failed(self, code: int, told: list[str]) -> Exception:
        if code == _NOT_FOUND and told:
            return ConfigurationError(
                f"The tap cannot be started: {told[-1]}.",
                where=self.where,
                cure="install it in an environment of its own, and name its program as `command`.",
            )
        why = " | ".join(told[-_SHOWN_LINES:]) or "it gave no reason"
        return DependencyUnavailableError(
            f"The tap ended with code {code}: {why}",
            where=self.where,
            cure="correct the source's `config`, or what the tap complains of.",
        )

    def _silent(self, said: deque[str]) -> DependencyUnavailableError:
        last = f"; its last words: {self._bare(said[-1])}" if said else ""
        return DependencyUnavailableError(
            f"The tap said nothing for {self.silence_seconds} seconds and was ended{last}.",
            where=self.where,
            cure="see whether its source answers, or raise `silence_seconds`.",
        )

    def _endless(self) -> ConfigurationError:
        return ConfigurationError(
            f"The tap sent a line of more than {self.line_bytes} bytes.",
            where=self.where,
            cure="leave the large column out in the tap's `config`, or raise `line_bytes`.",
        )


def secrets_of(config: object, *, hidden: bool = False) -> Iterator[str]:
    """List the texts of a tap's configuration that must not be repeated."""
    if isinstance(config, Mapping):
        for name, each in config.items():
            yield from secrets_of(each, hidden=hidden or bool(_SECRET.search(str(name))))
    elif isinstance(config, list):
        for each in config:
            yield from secrets_of(each, hidden=hidden)
    elif isinstance(config, str):
        found = [config] if hidden else _IN_ADDRESS.findall(config)
        yield from (each for each in found if len(each) >= _LEAST_SECRET)


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError(pipe)
    return pipe


class _Lines:
    """Makes lines of chunks; `size` is how much there is of one that has not ended."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def of(self, chunk: bytes) -> Iterator[bytes]:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield b"".join((*self._parts, end))
            self._parts, self.size = [], 0
        self._parts.append(rest)
        self.size += len(rest)


def _note(lines: Iterable[bytes], said: deque[str]) -> None:
    """Remember the last of what is complained."""
    for line in lines:
        text = line.decode("utf-8", "replace").strip()
        if any(each.isalnum() for each in text):
            said.append(text[:_LINE_CHARACTERS])
