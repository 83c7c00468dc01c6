#!/bin/bash
# Stands for the container's manager.
"$(dirname "$0")/systemd" &
wait
