#!/bin/sh
# Installs what is missing: system packages, the locked environment, Kafka's jars, the county's edge node, OData server and ERP,
# the tests' MySQL server and Singer taps. Safe to run at any time, also after an interruption; quick when there is nothing to do.
#
# PYTHON  which Python makes the environment (default python3)
# UV_*    pip's own configuration is handed to uv; what is set here wins
#
# Exit codes: 0 ready · 2 the Python or the checkout is wrong · 4 something is missing and could not be installed
set -u

cd "$(dirname "$0")/.." || exit 2
PYTHON=${PYTHON:-python3}
VENV=.venv
STAMP=$VENV/.complete

say() { printf '%s\n' "$*" >&2; }
fail() { # exit code, paragraph
    code=$1
    shift
    if [ -t 2 ]; then printf '\033[31m%s\033[0m\n' "$*" >&2; else say "$*"; fi
    exit "$code"
}
digest() { cat "$@" | sha256sum | cut -c1-64; }

# --- system packages -------------------------------------------------------------------------------------------

java_release() { java -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9][0-9]*\).*/\2/p' | head -n 1; }
has_java() {
    release=$(java_release)
    [ -n "$release" ] && [ "$release" -ge 17 ]
}
has_postgres() {
    command -v initdb >/dev/null && command -v postgres >/dev/null && return
    for found in /usr/lib/postgresql/*/bin/initdb; do [ -x "$found" ] && return; done
    return 1
}
has_mariadb() { command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ]; }
# The tests' ODBC driver, and what manages drivers.
has_odbc() { [ -n "$(odbcinst -q -d -n 'MariaDB Unicode' 2>/dev/null)" ]; }
# The browser tests' driver is linked to it, and a small system does not have it.
has_atomic() { "$PYTHON" -c 'import ctypes; ctypes.CDLL("libatomic.so.1")' 2>/dev/null; }
has_mosquitto() { command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ]; }
has_fonts() { [ -n "$(fc-list :lang=zh family 2>/dev/null | head -n 1)" ]; }

missing_packages() {
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || echo "python3-venv"
    has_java || echo "openjdk-17-jre-headless"
    command -v mvn >/dev/null || echo "maven"
    has_postgres || echo "postgresql"
    has_mariadb || echo "mariadb-server"
    has_odbc || echo "unixodbc odbc-mariadb"
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || echo "chromium"
    command -v fc-list >/dev/null || echo "fontconfig"
    has_fonts || echo "fonts-noto-cjk"
    has_atomic || echo "libatomic1"
    has_mosquitto || echo "mosquitto"
    command -v node >/dev/null || echo "nodejs"
    command -v npm >/dev/null || echo "npm"
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

install_packages() { # names
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || return 1
    say "Installing system packages: $*"
    # Debian would start a PostgreSQL cluster of its own, which nobody here asked for.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common &&
            echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o Dpkg::Options::=--force-confold "$@" >&2
}

"$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null ||
    fail 2 "Python 3.11, 3.12 or 3.13 is needed; \`$PYTHON\` is $("$PYTHON" -V 2>&1 || true)." \
        "Cure: install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12 …"

SYSTEM=$VENV/.system
if [ ! -e "$SYSTEM" ] || ! has_java || ! command -v mvn >/dev/null || ! has_postgres || ! has_mariadb || ! has_atomic ||
    ! has_mosquitto || ! command -v npm >/dev/null; then
    packages=$(missing_packages | tr '\n' ' ')
    if [ -n "$packages" ]; then
        # shellcheck disable=SC2086
        install_packages $packages
        left=$(missing_packages | tr '\n' ' ')
        if command -v java >/dev/null && ! has_java; then
            fail 4 "Kafka needs Java 17 or newer; $(command -v java) is release $(java_release). Cure: put a newer one first on" \
                "the PATH (Debian: apt-get install openjdk-17-jre-headless, then update-alternatives --config java)."
        fi
        [ -z "$left" ] ||
            fail 4 "These are missing and could not be installed: ${left}(on other systems: Java 17 or newer first on the" \
                "PATH, Maven, PostgreSQL and MariaDB servers, Chromium, Noto CJK fonts, libatomic, mosquitto, Node with npm). Cure: apt-get install --no-install-recommends ${left}"
    fi
fi

# --- the locked environment ------------------------------------------------------------------------------------

# uv asks the index that pip is configured for; only in this process, never in a file.
pass_pip_settings() {
    for pair in index-url:UV_DEFAULT_INDEX find-links:UV_FIND_LINKS cert:SSL_CERT_FILE; do
        variable=${pair#*:}
        eval "[ -z \"\${$variable:-}\" ]" || continue
        value=$(pip_setting "${pair%%:*}")
        [ -z "$value" ] || export "$variable=$value"
    done
}
pip_setting() { # a variable of pip wins over its files
    "$VENV/bin/python" -m pip config list 2>/dev/null | "$VENV/bin/python" -c '
import ast, sys
found = {}
for line in sys.stdin:
    name, _, value = line.strip().partition("=")
    section, _, key = name.rpartition(".")
    if key == sys.argv[1]:
        found[section.strip(":")] = str(ast.literal_eval(value))
print(" ".join(next((found[s] for s in ("env", ":env:", "install", "global") if s in found), "").split()))' "$1"
}

build_environment() {
    if [ -e "$VENV" ] && { [ ! -e "$STAMP" ] || ! "$VENV/bin/python" -c '' 2>/dev/null; }; then
        say "An earlier installation was interrupted: making it anew."
        rm -rf "$VENV"
    fi
    [ -e "$VENV" ] || "$PYTHON" -m venv "$VENV" || return 1
    rm -f "$STAMP"
    if [ ! -x "$VENV/bin/uv" ]; then
        "$VENV/bin/python" - <<'PYTHON' >"$VENV/uv.lock.txt" || return 1
import pathlib, re
text = pathlib.Path("requirements.lock").read_text(encoding="utf-8")
print(next(part for part in re.split(r"\n(?=\S)", text) if re.match(r"uv==", part)))
PYTHON
        "$VENV/bin/python" -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
            -r "$VENV/uv.lock.txt" >&2 || return 1
    fi
    pass_pip_settings
    VIRTUAL_ENV=$PWD/$VENV
    export VIRTUAL_ENV
    "$VENV/bin/uv" pip sync -q --require-hashes --compile-bytecode requirements.lock >&2 &&
        "$VENV/bin/uv" pip install -q --no-deps --no-build-isolation -e . >&2
}

WANTED=$(digest requirements.lock pyproject.toml) || exit 2
if [ "$(cat "$STAMP" 2>/dev/null)" != "$WANTED" ] || ! [ -x "$VENV/bin/nplusx" ]; then
    say "Installing the locked environment into $VENV (once, and when the lock changes)."
    build_environment ||
        fail 4 "The locked environment could not be installed; what failed stands above. Cure: check the network, the disk" \
            "and pip's configuration (\`pip config list\`), then run \`make setup\` again: it continues where it must."
    printf '%s' "$WANTED" >"$STAMP.new" && mv "$STAMP.new" "$STAMP"
fi
: >"$SYSTEM"

# --- Kafka's jars ------------------------------------------------------------------------------------------------

# The folder is named by the list of jars, so a new list is a new folder; it is complete or absent.
JARS=$VENV/share/nplusx/kafka-$(digest deploy/kafka/pom.xml | cut -c1-12)
if [ ! -d "$JARS" ]; then
    say "Fetching Kafka's jars with Maven."
    rm -rf "$JARS.new"
    mkdir -p "$(dirname "$JARS")" &&
        mvn -q -B dependency:copy-dependencies -f deploy/kafka/pom.xml -DoutputDirectory="$PWD/$JARS.new" >&2 &&
        mv "$JARS.new" "$JARS" ||
        fail 4 "Maven could not fetch Kafka's jars; what failed stands above. Cure: check the network and Maven's" \
            "settings.xml (a mirror, a proxy), then run \`make setup\` again."
fi

# --- the county's edge node and its OData server -----------------------------------------------------------------

# As above: named by their locks, complete or absent.
for pair in sparkplug:county/servers/edge cap:county/servers/cap; do
    node=${pair%%:*}
    NODE=${pair#*:}
    MODULES=$VENV/share/nplusx/$node-$(digest "$NODE/package-lock.json" | cut -c1-12)
    [ ! -d "$MODULES" ] || continue
    say "Fetching the packages for $node with npm."
    rm -rf "$MODULES.new"
    mkdir -p "$MODULES.new" && cp "$NODE/package.json" "$NODE/package-lock.json" "$MODULES.new" &&
        npm ci --ignore-scripts --no-audit --no-fund --prefix "$MODULES.new" >&2 &&
        mv "$MODULES.new" "$MODULES" ||
        fail 4 "npm could not fetch the packages for $node; what failed stands above. Cure: check the network and npm's" \
            "configuration (\`npm config list\`), then run \`make setup\` again."
done

# --- the county's ERP -----------------------------------------------------------------------------------------------

# As above: named by its lock, complete or absent; an environment of its own, for its pins are not ours.
LIST=county/servers/tryton/requirements.lock
TRYTON=$VENV/share/nplusx/tryton-$(digest $LIST | cut -c1-12)
if [ ! -e "$TRYTON/.complete" ]; then
    say "Installing Tryton into an environment of its own."
    pass_pip_settings
    rm -rf "$TRYTON" &&
        "$VENV/bin/uv" venv -q --python "$VENV/bin/python" "$TRYTON" >&2 &&
        VIRTUAL_ENV=$PWD/$TRYTON "$VENV/bin/uv" pip sync -q --require-hashes "$LIST" >&2 &&
        : >"$TRYTON/.complete" ||
        fail 4 "Tryton could not be installed; what failed stands above. Cure: check the network and pip's configuration" \
            "(\`pip config list\`), then run \`make setup\` again."
    say "Making Tryton's empty database: half a minute that no demo and no test pays later."
    "$VENV/bin/python" -c "from county.servers import tryton; tryton.template()" >&2 ||
        fail 4 "Tryton's empty database could not be made; what failed stands above. Cure: mend what it names, then run" \
            "\`make setup\` again."
fi

# --- the tests' MySQL server -------------------------------------------------------------------------------------

# As above. There is a program for this kind of machine alone; on another one its tests say that they are left out.
MYSQL=$VENV/share/nplusx/mysql-$(digest tests/mysql/pom.xml | cut -c1-12)
if [ ! -d "$MYSQL" ] && [ "$(uname -sm)" = "Linux x86_64" ]; then
    say "Fetching the tests' MySQL server with Maven."
    rm -rf "$MYSQL.new"
    mvn -q -B dependency:copy-dependencies -f tests/mysql/pom.xml -DoutputDirectory="$PWD/$MYSQL.new" >&2 &&
        "$VENV/bin/python" -m zipfile -e "$MYSQL.new"/*.jar "$MYSQL.new" &&
        tar -xzf "$MYSQL.new/mysql-Linux-amd64.tar.gz" -C "$MYSQL.new" &&
        rm -rf "$MYSQL.new"/*.jar "$MYSQL.new"/*.tar.gz && mv "$MYSQL.new" "$MYSQL" ||
        fail 4 "Maven could not fetch the tests' MySQL server; what failed stands above. Cure: check the network and Maven's" \
            "settings.xml (a mirror, a proxy), then run \`make setup\` again."
fi

# --- the tests' Singer taps --------------------------------------------------------------------------------------

# Each in an environment of its own, as at a factory; named by its lock, complete or absent.
for lock in tests/connectors/machines/taps/*.lock; do
    tap=tap-$(basename "$lock" .lock)
    FOLDER=$VENV/share/nplusx/$tap-$(digest "$lock" | cut -c1-12)
    [ ! -d "$FOLDER" ] || continue
    say "Installing the tests' Singer tap $tap."
    rm -rf "$FOLDER.new"
    pass_pip_settings
    "$VENV/bin/uv" venv -q --relocatable --python "$VENV/bin/python" "$FOLDER.new" >&2 &&
        "$VENV/bin/uv" pip sync -q --require-hashes --python "$FOLDER.new" "$lock" >&2 &&
        mv "$FOLDER.new" "$FOLDER" ||
        fail 4 "The Singer tap $tap could not be installed; what failed stands above. Cure: check the network and pip's" \
            "configuration (\`pip config list\`), then run \`make setup\` again."
done
