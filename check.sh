#!/bin/bash
# Sets up, builds and checks everything: ./check.sh, or single steps: ./check.sh build unit.
# Ends with `N passed, N failed, N skipped`; fails if anything did.
set -eu
cd "$(dirname "$0")"
tools/install-deps.sh --test
exec python3 tools/check.py "$@"
