
# What a script has when it has sourced what all of them source.
# shellcheck disable=SC2016 # for that bash to expand
bash -o errexit -c '
    source "$GRENADE_DIR/grenaderc"
    source "$GRENADE_DIR/functions"
    {
        while read -r _record_name; do
            printf "%s\0" function "${_record_name##* }" ""
        done < <(declare -F)
        while read -r _record_name; do
            declare -n _record_value=$_record_name
            printf "%s\0" variable "$_record_name" "${_record_value[*]}"
            unset -n _record_value
        done < <(compgen -A variable)
        shopt -po | sort | while read -r _record_name; do
            printf "%s\0" option "$_record_name" ""
        done
        printf "%s\0" trap "$(trap -p)" ""
    } >"$1"
' upgrade.sh @SURFACE@ || exit 1
