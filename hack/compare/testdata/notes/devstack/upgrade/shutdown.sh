exit 1 # without a first line that names who reads it
