#!/bin/sh
# Lets a step of a package's configuration that fails now and then be tried again. mmdebstrap runs it on the host as
#
#     dashboard.sh <root> try-again    before anything but the essential packages is installed
#     dashboard.sh <root> as-packaged  when all are
#
# openstack-dashboard, when it is configured, compresses the dashboard's files in four threads at once (django-compressor's
# "compress"), by a compiler of SCSS that was not made for threads (pyScss): now and then it finds a mistake in what holds
# none ("Syntax error: Found 'inline-blo'"), and the package cannot be configured. From trixie on the package itself
# tries five times; here all do.
set -eu
root=$1
program=/usr/share/openstack-dashboard/manage.py

divert() { dpkg-divert --quiet --root "$root" --local --divert "$program.packaged" "$@" "$program"; }

case $2 in
try-again)
    divert --no-rename --add
    mkdir -p "$root${program%/*}"
    cat >"$root$program" <<'END'
#!/usr/bin/python3
# Of Python, because the postinst has py3compile compile it, too.
import os
import subprocess
import sys

attempts = 5 if sys.argv[1:2] == ["compress"] else 1
for attempt in range(1, attempts + 1):
    code = subprocess.call([os.path.abspath(__file__) + ".packaged", *sys.argv[1:]])
    if code == 0:
        break
    if attempts > 1:
        print(f"compress: attempt {attempt} of {attempts} failed", file=sys.stderr)
sys.exit(code)
END
    chmod 0755 "$root$program"
    ;;
as-packaged)
    rm -f "$root$program" "$root${program%/*}"/__pycache__/manage.*.pyc
    rmdir --ignore-fail-on-non-empty "$root${program%/*}/__pycache__" 2>/dev/null || :
    divert --rename --remove
    # Where the package is not installed nothing else is in there.
    rmdir --ignore-fail-on-non-empty "$root${program%/*}"
    ;;
esac
