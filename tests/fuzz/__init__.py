"""Coverage-guided fuzzing of everything that reads what strangers wrote: `make fuzz`, RUNS=1000000 for each target."""
