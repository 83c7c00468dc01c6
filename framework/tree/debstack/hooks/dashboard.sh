#!/bin/sh
# Lets a step of a package's configuration that fails now and then be tried again. mmdebstrap runs it on the host as
#
#     dashboard.sh <root> try-again    before anything but the essential packages is installed
#     dashboard.sh <root> as-packaged  when all are
#
# openstack-dashboard, when it is configured, compresses the dashboard's files in four threads at once (django-compressor's
# "compress"), by a compiler of SCSS that was not made for threads (pyScss): 2 of 42 times it found a mistake in what holds
# none ("Syntax error: Found 'inline-blo'"), and the package could not be configured. From trixie on the package itself
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
#!/bin/sh
[ "$1" = compress ] || exec "$0.packaged" "$@"
for attempt in 1 2 3 4 5; do
    "$0.packaged" "$@" && exit
    echo "compress: attempt $attempt failed" >&2
done
exit 1
END
    chmod 0755 "$root$program"
    ;;
as-packaged)
    rm "$root$program"
    divert --rename --remove
    # Where the package is not installed nothing else is in there.
    rmdir --ignore-fail-on-non-empty "$root${program%/*}"
    ;;
esac
