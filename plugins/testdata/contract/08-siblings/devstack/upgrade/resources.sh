source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
echo "$1 ${2:-none} top $(basename $(dirname $TOP_DIR))"
touch written-beside-the-tree
