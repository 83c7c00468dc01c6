#!/bin/bash
# The processes with the numbers that the array "asked" holds; describe.sh stands before this.

# shellcheck disable=SC2154 # asked is set before this script's beginning.
for pid in "${asked[@]}"; do
	note - "$pid"
done
describe
