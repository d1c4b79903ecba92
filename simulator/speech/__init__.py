"""Speech of the simulator: voice activity, recognition, synthesis."""
