#!/bin/bash
# Stands for the Ginkgo CLI. (env in the first line would make its name bash.)
set -euo pipefail
"$(dirname "$0")/suite.test" &
wait "$!"
