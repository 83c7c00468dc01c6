#!/usr/bin/env bash
exit 1 # a comparison puts a stub here
