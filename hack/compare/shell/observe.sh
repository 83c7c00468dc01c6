
# observe.sh - the end of the pluginrc that upstream's grenade.sh sources: all
# settings are loaded when the first phase begins, and then this writes down what
# they have left, which is in no environment.
if [[ $0 == */grenade.sh ]] && ! declare -F _observed_resources >/dev/null; then
    eval "_observed_$(declare -f resources)"
    function resources {
        if [[ ! -e @OBSERVED@ ]]; then
            local name
            {
                for name in UPGRADE_PROJECTS DATABASES_TO_SAVE BASE_RUN_SMOKE TARGET_RUN_SMOKE VERIFY_RESOURCES ENABLE_TEMPEST; do
                    printf '%s\0' variable "$name" "${!name-}"
                done
                for name in "${!PLUGIN_DIR[@]}"; do
                    printf '%s\0' plugin "$name" "${PLUGIN_DIR[$name]}"
                done
            } >@OBSERVED@
        fi
        _observed_resources "$@"
    }
fi
