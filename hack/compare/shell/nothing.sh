#!/usr/bin/env bash
# nothing.sh - stands in the place of what works on a cloud, where there is none.
:
