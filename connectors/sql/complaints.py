"""What databases complain of, in plain words with a cure."""

import re

from kernel.errors import ConfigurationError, DependencyUnavailableError, NplusxError

_LOCKED = r"due to lock timeout|lock wait timeout exceeded"
_TIMEOUT = (
    r"statement timeout|canceling statement(?! due to lock)|max_statement_time"
    r"|execution was interrupted"
)
# What databases say, what is wrong, what to do; the address itself is added by the caller.
_COMPLAINTS: tuple[tuple[str, type[NplusxError], str, str], ...] = (
    (
        r"access denied for user .* to database",
        ConfigurationError,
        "The source has no such database, or does not let this user see it.",
        "correct the database in the source's url, or grant the user SELECT on it.",
    ),
    (
        (
            r"password authentication failed|login failed|no password supplied"
            r"|role .* does not exist|access denied for user"
        ),
        ConfigurationError,
        "The source refuses the user or the password.",
        "correct the user in the source's url, and the password in its file or variable.",
    ),
    (
        (
            r"no such table|relation .* does not exist|invalid object name|table .* doesn't exist"
            r"|table with name .* does not exist"
        ),
        ConfigurationError,
        "The source has no such table.",
        "check the product's version, and that the source's url names its business database.",
    ),
    (
        (
            r"no such column|column .* does not exist|invalid column name|unknown column"
            r"|referenced column .* not found"
        ),
        ConfigurationError,
        "A table of the source has no such column.",
        "check that the preset fits the product's version.",
    ),
    (
        r"access denied; you need|must be superuser or replication role|permission denied to start",
        ConfigurationError,
        "The source does not let this user read its log.",
        (
            "let its administrator run, on MySQL: grant replication slave, replication client on"
            " *.* to the user; on PostgreSQL: alter role the user replication;"
        ),
    ),
    (
        r"all replication slots are in use|max_wal_senders",
        ConfigurationError,
        "The source gives no slot to another reader of its log.",
        "raise max_replication_slots and max_wal_senders at the source, one for each stream.",
    ),
    (
        r"permission denied|command denied",
        ConfigurationError,
        "The source does not let this user read.",
        "grant the user SELECT on the tables that the preset names.",
    ),
    (
        r"database .* does not exist|unknown database|cannot open database",
        ConfigurationError,
        "The source has no such database.",
        "correct the database in the source's url.",
    ),
    (
        r"could not set lock on file|database is locked",
        DependencyUnavailableError,
        "Another program writes to the source's file, and lets nobody read it meanwhile.",
        "it is tried again by itself; if that program never lets go, read a copy of the file.",
    ),
    (
        _LOCKED,
        DependencyUnavailableError,
        "Another program holds a table of the source locked.",
        "it is tried again by itself; if it stays so, let the administrator see who holds it.",
    ),
    (
        r"ambiguous",
        ConfigurationError,
        "The query gives two columns one name.",
        "rename one of them with `as`.",
    ),
    (
        r"syntax error|error in your sql syntax|incomplete input|unterminated",
        ConfigurationError,
        "The source does not understand the preset's query.",
        "check that the preset is written for this kind of database.",
    ),
    (
        r"certificate",
        ConfigurationError,
        "The source's certificate is not trusted, or has expired.",
        (
            "renew it; set this machine's clock if it is wrong; or name its authority's file, with"
            " its whole path, in the source's url: sslrootcert=… on PostgreSQL, ssl_ca=… on MySQL."
        ),
    ),
    (
        r"no answer within|wait timeout expired",
        DependencyUnavailableError,
        "The source has taken the question, and says nothing any more: its server hangs.",
        "it is asked again by itself; if that lasts, let its administrator restart the server.",
    ),
    (
        _TIMEOUT,
        DependencyUnavailableError,
        "The source took too long to answer.",
        "give the table an index on its time of change, or read when the system is less busy.",
    ),
)


def is_timeout(said: str) -> bool:
    """Tell whether a database gave up because an answer took too long."""
    return re.search(_TIMEOUT, said, re.IGNORECASE) is not None


def plain(said: str, where: str) -> NplusxError:
    """Say what a database complains of, and what to do."""
    first = said.strip().splitlines()[0] if said.strip() else "no reason given"
    for pattern, kind, what, cure in _COMPLAINTS:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(f"{what} ({first})", where=where, cure=cure)
    return DependencyUnavailableError(
        f"The source cannot be read: {first}.",
        where=where,
        cure="check that the database runs, that this machine may reach it, and the source's url.",
    )
