# shellcheck shell=sh disable=SC2154
# Source this with $root set to the clone. It defines `ensure`, and $python, the Python of the clone's .venv.
# The files .venv/impasto-* are described in setup_environment.py.

python=$root/.venv/bin/python

# Works for a clone that was moved or copied too: its own src comes first, and only python is run from .venv/bin.
PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH

say() {
    printf 'impasto: %s\n' "$*" >&2
}

# is_ready EXTRA: succeeds if .venv works and has what pyproject.toml asks for. It takes a few milliseconds, because it
# runs neither pip nor Python code.
is_ready() {
    version=$("$python" -V 2>/dev/null) || return 1
    { echo "${version%.*}" && cat "$root/pyproject.toml"; } | cmp -s - "$root/.venv/impasto-ready-$1"
}

# find_python: sets $base to the first Python that can make the environment. Each one is run, because a pyenv shim may
# exist and fail.
find_python() {
    without_venv=
    for base in ${IMPASTO_PYTHON:+"$IMPASTO_PYTHON"} python3.13 python3.12 python3.11 python3.14 python3 python; do
        if "$base" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; then
            if "$base" -I -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1; then
                return 0
            fi
            without_venv=${without_venv:-$base}
        fi
        if [ "$base" = "${IMPASTO_PYTHON-}" ]; then
            break
        fi
    done
    if [ -n "$without_venv" ]; then
        say "$without_venv has no venv module: install it (Debian and Ubuntu: apt install python3-venv) and run this again."
    elif [ -n "${IMPASTO_PYTHON-}" ]; then
        say "IMPASTO_PYTHON=$IMPASTO_PYTHON is no Python 3.11 or newer that runs: correct it, or unset it."
    else
        say "no Python 3.11 or newer found: install one, or name it, as in IMPASTO_PYTHON=/path/to/python3."
    fi
    return 1
}

# ensure EXTRA COMMAND...: makes .venv ready for use (EXTRA is use), the page (web), videos (video), clusters (ray) or
# development (dev), which includes the others. If that fails, the shell ends with a message that says why and names
# COMMAND to try again.
ensure() {
    if is_ready "$1" || is_ready dev; then
        return 0
    fi
    find_python || exit 1
    "$base" -I "$root/scripts/setup_environment.py" "$@" </dev/null >&2 || exit $?
}
