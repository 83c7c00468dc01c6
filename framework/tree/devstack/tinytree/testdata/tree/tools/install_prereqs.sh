#!/bin/bash
# install_prereqs.sh: sourced; TINY_NO_PREREQS has it fail.
[[ -z ${TINY_NO_PREREQS:-} ]] || { echo "no package answers"; false; }
test -f "$TOP_DIR/files/tiny.img"
