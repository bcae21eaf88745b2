"""Whether migrations come back, tried on a scratch database."""
