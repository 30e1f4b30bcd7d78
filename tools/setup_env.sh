#!/usr/bin/env bash
# Makes the environment of mmdssl in the folder VENV, or completes one that is there.
#
#   tools/setup_env.sh pretrain   torch, OpenMMLab without compiled ops, mmdssl (about 4 minutes)
#   tools/setup_env.sh dev        the same and the development tools (seconds more)
#   tools/setup_env.sh full       the same, mmdet, mmseg and mmcv's compiled ops (about 10 to 20
#                                 minutes more, once per Python, torch and mmcv version)
#   tools/setup_env.sh --key      prints a hash of everything that decides what is installed
#
# A second call with the same requirement files returns at once; a changed requirement file
# updates the environment; `full` after `pretrain` adds what is missing.
#
# Variables: VENV (default .venv), PYTHON (default: the first Python 3.10 to 3.12 found),
# OPS_CFLAGS (default "-O1 -g0"), MAX_JOBS (default: cores, at most one per 2 GB of free memory),
# MMDSSL_CACHE (default ~/.cache/mmdssl: where the compiled wheel is kept), FORCE=1 (look at the
# environment again although the requirement files did not change: somebody has used pip in it).
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

VENV="${VENV:-.venv}"
PYTHON="${PYTHON:-}"
# -O1 -g0 halves the compile time; the ops that mmdet and mmseg call spend theirs inside torch.
OPS_CFLAGS="${OPS_CFLAGS:--O1 -g0}"
CACHE="${MMDSSL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/mmdssl}"
START=$SECONDS
HEARTBEAT=''
BUILD=''

say() { printf '[setup] %s\n' "$*"; }
fail() {
    printf '[setup] error: %s\n' "$*" >&2
    exit 1
}
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }
stop_heartbeat() {
    if [ -n "$HEARTBEAT" ]; then
        kill "$HEARTBEAT" 2> /dev/null || true
        wait "$HEARTBEAT" 2> /dev/null || true
        HEARTBEAT=''
    fi
}
clean_up() {
    stop_heartbeat
    if [ -n "$BUILD" ]; then rm -rf "$BUILD"; fi
}
trap clean_up EXIT

requirement_key() {
    # Only what decides the installed files: the checkout's place is looked at separately.
    cat setup.cfg constraints.txt tools/setup_env.sh | sha256sum | cut -c 1-12
}

# step TITLE COMMAND...: runs it with its output in the log, a line every 30 s, the time it took.
# PROGRESS may name a function that prints how far the command is.
step() {
    local title="$1" begin=$SECONDS
    shift
    say "$title ..."
    {
        # The sleep outlives a kill of this loop: it must not hold our output or the lock.
        while sleep 30 > /dev/null 2>&1 9>&-; do
            say "  ... $(clock $((SECONDS - begin)))$("${PROGRESS:-true}")"
        done
    } &
    HEARTBEAT=$!
    if ! "$@" >> "$LOG" 2>&1 < /dev/null; then
        stop_heartbeat
        grep -v 'WARNING: Location' "$LOG" | tail -n 25 >&2
        fail "'$title' failed after $(clock $((SECONDS - begin))); the whole output: $LOG"
    fi
    stop_heartbeat
    say "  done in $(clock $((SECONDS - begin)))"
}

find_python() {
    local candidate candidates=(python3.11 python3.12 python3.10 python3)
    if [ -n "$PYTHON" ]; then candidates=("$PYTHON"); fi
    for candidate in "${candidates[@]}"; do
        # Asked, not guessed from the name: version managers leave names that run nothing.
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
            > /dev/null 2>&1; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "no Python 3.10, 3.11 or 3.12 found${PYTHON:+ (PYTHON=$PYTHON is none)}: install one, or name it: make env PYTHON=/path/to/python3.11"
}

make_venv() {
    if [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version > /dev/null 2>&1; then
        return
    fi
    # A folder that is no environment is the user's: never emptied.
    if [ -d "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ] && [ -n "$(ls -A "$VENV")" ]; then
        fail "VENV=$VENV is a folder with other things in it: name an empty or new one"
    fi
    local python
    python="$(find_python)"
    say "new environment in $VENV with $("$python" --version) ($(command -v "$python"))"
    "$python" -m venv --clear "$VENV" \
        || fail "'$python -m venv' failed: on Debian and Ubuntu install the package python3-venv"
}

pip_install() { "$VENV/bin/python" -m pip install --no-input -c constraints.txt "$@"; }

install_torch() { pip_install torch torchvision; }

install_tools() { pip_install pip setuptools wheel ninja packaging; }

# With pip's build isolation: without it mmcv's build would see torch and compile its ops here.
install_package() { pip_install -e ".[$1]"; }

# Alone mmdssl needs no isolation, and so no download.
link_package() { pip_install --no-build-isolation --no-deps -e .; }

# Name of the folder of the compiled wheel: everything that its binary depends on.
ops_key() {
    OPS_CFLAGS="$OPS_CFLAGS" MMCV="$MMCV" "$VENV/bin/python" - << 'PY'
import os
import platform
import re
import sys

import torch

flags = re.sub(r'[^\w-]+', '', os.environ['OPS_CFLAGS'])
print(f'cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}'
      f'-torch{torch.__version__}-mmcv{os.environ["MMCV"]}-{os.environ["OPS_DEVICE"]}{flags}')
PY
}

choose_ops_device() {
    OPS_DEVICE=cpu
    if "$VENV/bin/python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' \
        2> /dev/null; then
        if [ -n "${CUDA_HOME:-}" ] || command -v nvcc > /dev/null; then
            OPS_DEVICE=cuda
        else
            say "a GPU is here, but no nvcc: mmcv's ops are compiled for the CPU only (mmdet on" \
                "the GPU needs them there: install the CUDA toolkit and call make env-full again)"
        fi
    fi
    export OPS_DEVICE
}

check_compiler() {
    command -v "${CXX:-c++}" > /dev/null \
        || fail "no C++ compiler for mmcv's ops: on Debian and Ubuntu install the package g++"
    "$VENV/bin/python" - << 'PY' || fail "Python.h is missing: on Debian and Ubuntu install python3-dev"
import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')))
PY
}

jobs() {
    local cores memory
    cores="$(nproc 2> /dev/null || echo 2)"
    memory="$(awk '/MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo 2> /dev/null || true)"
    memory="${memory:-2}"
    if [ "$memory" -lt 1 ]; then memory=1; fi
    echo "$((cores < memory ? cores : memory))"
}

compiled_files() { printf ', %d files compiled' "$(find "$BUILD" -name '*.o' | wc -l)"; }

build_ops() {
    # --no-cache-dir: pip keeps the wheel without ops under the same key and would hand that out.
    # --no-build-isolation: an isolated build sees no torch and silently leaves the ops away.
    local cuda=()
    if [ "$OPS_DEVICE" = cpu ]; then cuda=(CUDA_VISIBLE_DEVICES=); fi
    env "${cuda[@]}" TMPDIR="$BUILD" PATH="$VENV_ABS/bin:$PATH" CFLAGS="$OPS_CFLAGS" \
        MAX_JOBS="${MAX_JOBS:-$(jobs)}" MMCV_WITH_OPS=1 \
        "$VENV/bin/python" -m pip wheel --no-input --no-build-isolation --no-deps --no-cache-dir \
        --no-binary onedl-mmcv --wheel-dir "$BUILD" "onedl-mmcv==$MMCV"
}

has_ops() {
    (cd / && "$VENV_ABS/bin/python" -c 'import torch, mmcv._ext') > /dev/null 2>&1
}

install_ops() {
    choose_ops_device
    local key folder
    key="$(ops_key)"
    folder="$CACHE/wheels/$key"
    if [ "$(cat "$VENV/.mmdssl-ops" 2> /dev/null)" = "$key" ] && has_ops; then return; fi
    if ! compgen -G "$folder/onedl_mmcv-*.whl" > /dev/null; then
        check_compiler
        mkdir -p "$folder"
        BUILD="$(mktemp -d "$folder/build.XXXXXX")"
        PROGRESS=compiled_files step "compiling mmcv's ops for $OPS_DEVICE: about 145 files, $(
        )8 minutes on 2 idle cores, up to 20 on busy ones; kept in $folder" build_ops
        # Moved when whole: an interrupted build never looks like a finished one.
        mv "$BUILD"/onedl_mmcv-*.whl "$folder/"
    fi
    step "installing mmcv with ops" pip_install --force-reinstall --no-deps \
        "$(compgen -G "$folder/onedl_mmcv-*.whl" | head -n 1)"
    has_ops || fail "mmcv._ext does not load although $folder holds a wheel: remove that folder and call make env-full again"
    printf '%s' "$key" > "$VENV/.mmdssl-ops"
}

version_of() {
    "$VENV/bin/python" -c \
        "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))" "$1" 2> /dev/null
}

# opencv-python and opencv-python-headless write the same folder cv2; what is left is a mixture.
# Written once more as a whole by one of them, of the version both have, it works.
repair_opencv() {
    local version
    version="$(version_of opencv-python)"
    if version_of opencv-python-headless > /dev/null; then
        step "opencv: two distributions share cv2, writing one of them last" \
            pip_install --force-reinstall --no-deps "opencv-python==$version"
    fi
    if ! "$VENV/bin/python" -c 'import cv2' > /dev/null 2>&1; then
        # Machines without a desktop often lack libGL; the headless build needs none.
        step "opencv-python does not load here, writing the headless build over it" \
            pip_install --force-reinstall --no-deps "opencv-python-headless==$version"
        "$VENV/bin/python" -c 'import cv2'
    fi
}

check() { "$VENV/bin/python" tools/check_env.py --import --for "$1"; }

main() {
    local level="${1:-pretrain}" key
    case "$level" in
        --key)
            requirement_key
            return
            ;;
        pretrain | dev | full) ;;
        *) fail "unknown level '$level': pretrain, dev or full" ;;
    esac

    # One at a time: two calls that write one environment leave neither whole.
    if command -v flock > /dev/null; then
        mkdir -p "$CACHE"
        exec 9> "$CACHE/$(realpath -m "$VENV" | sha256sum | cut -c 1-12).lock"
        flock -n 9 || {
            say "another call is at work on $VENV, waiting for it"
            flock 9
        }
    fi

    key="$(requirement_key)"
    if [ -n "${FORCE:-}" ]; then rm -f "$VENV/.mmdssl-env" "$VENV/.mmdssl-ops"; fi
    # The stamp says: hash of the requirement files, level, checkout that is linked.
    local done_key='' done_level='' done_root=''
    if [ -f "$VENV/.mmdssl-env" ]; then
        { read -r done_key && read -r done_level && read -r done_root; } < "$VENV/.mmdssl-env" || true
    fi
    local -A rank=([pretrain]=1 [dev]=2 [full]=3)
    local have=0
    if [ "$done_key" = "$key" ] && [ -x "$VENV/bin/python" ]; then have="${rank[$done_level]:-0}"; fi
    if [ "$have" -ge "${rank[$level]}" ] && [ "$done_root" = "$ROOT" ]; then return; fi

    make_venv
    VENV_ABS="$(cd "$VENV" && pwd)"
    LOG="$VENV_ABS/install.log"
    MMCV="$(sed -n 's/^onedl-mmcv==//p' constraints.txt)"
    [ "$have" -gt 0 ] || rm -f "$VENV/.mmdssl-env"

    if [ "$have" -ge "${rank[$level]}" ]; then
        level="$done_level"
        step "linking this checkout into $VENV" link_package
    else
        if [ "$have" -eq 0 ]; then
            step "pip, setuptools, ninja" install_tools
            step "torch and torchvision (from nothing: 2.5 minutes, 2 GB to download, 7 GB on disk)" install_torch
        fi
        local extras=([1]=pretrain [2]=pretrain,dev [3]=pretrain,det,seg,dev)
        step "OpenMMLab packages and mmdssl [${extras[${rank[$level]}]}] (from nothing: 1 to 2 minutes)" \
            install_package "${extras[${rank[$level]}]}"
        if [ "$level" = full ]; then install_ops; fi
        repair_opencv
    fi
    local purpose=pretrain
    if [ "$level" = full ]; then purpose=all; fi
    step "checking that everything imports: half a minute" check "$purpose"
    printf '%s\n%s\n%s\n' "$key" "$level" "$ROOT" > "$VENV/.mmdssl-env"
    say "$VENV is ready ($level) after $(clock $((SECONDS - START)))"
}

main "$@"
