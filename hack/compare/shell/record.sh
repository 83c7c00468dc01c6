# shellcheck shell=bash
# record.sh - stands in the place of a plugin's script, below its own first line,
# and writes down how it was called. Whatever shell that line names can read it.
_record=@RECORDS@/$(date +%s%N).$$
mkdir "$_record" || exit 1
printf '%s\0' "$0" "$@" >"$_record/argv" || exit 1
_record_open=''
for _record_fd in 3 6; do
    if [ -e "/proc/$$/fd/$_record_fd" ]; then
        _record_open="$_record_open $_record_fd"
    fi
done
printf '%s\0' "$(pwd -P)" "$(umask)" "$_record_open" >"$_record/place" || exit 1
# What children get, and so what the script's own commands see.
env -0 >"$_record/environ" || exit 1
