#!/bin/bash
source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
stop_somehow typos
echo "goes on"
die $LINO "and says why it ends"
