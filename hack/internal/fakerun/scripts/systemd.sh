#!/bin/bash
# Stands for the container's init: a single process that lives until it is killed,
# or for five minutes when a test forgets it.
mkfifo "$STACK_ROOT/node/never"
exec 3<>"$STACK_ROOT/node/never"
read -r -t 300 -u 3
